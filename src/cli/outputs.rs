//! Where records and documents go: `--format` and `-o` as they are meant together.

use super::Failure;
use crate::output::Form;
use crate::output::verdict::Document;
use crate::run::{Documents, Kinds};
use std::path::{Path, PathBuf};

/// One of the values of `--format`: `ecs`, `sarif=FILE`, ...
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    kind: Kind,
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Records(Form),
    Document(Document),
}

const KINDS: [(&str, Kind); 6] = [
    ("ecs", Kind::Records(Form::Ecs)),
    ("ocsf", Kind::Records(Form::Ocsf)),
    ("cef", Kind::Records(Form::Cef)),
    ("sarif", Kind::Document(Document::Sarif)),
    ("junit", Kind::Document(Document::Junit)),
    ("github", Kind::Document(Document::Github)),
];

/// What is written where.
pub(super) struct Outputs {
    /// Of records; `None`: no output of records.
    pub(super) form: Option<Form>,
    /// Their file, if it is not standard output.
    pub(super) records: Option<PathBuf>,
    pub(super) documents: Documents,
}

impl Outputs {
    /// The kinds of records that are written; documents are made of findings.
    pub(super) fn kinds(&self, mut kinds: Kinds) -> Result<Kinds, Failure> {
        if self.form.is_none() {
            kinds.findings = true;
        } else if !self.documents.wanted.is_empty() && !kinds.findings {
            return Err(Failure::usage("--format: documents are made of findings; add findings to --records"));
        }
        Ok(kinds)
    }
}

impl Wanted {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(file)));
        let known = KINDS.iter().find(|(known, _)| *known == name);
        let (_, kind) = known.ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            format!("there are {}, each also with a file, as in {}=FILE", names.join(", "), names[3])
        })?;
        match file {
            Some("") => Err(format!("a file must follow '{name}='")),
            file => Ok(Self { kind: *kind, file: file.map(PathBuf::from) }),
        }
    }

    fn name(&self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| name)
    }
}

/// For a run that never ends by itself: records only.
#[cfg(feature = "live")]
pub(super) fn records_only(wanted: &[Wanted]) -> Result<Form, Failure> {
    match wanted {
        [Wanted { kind: Kind::Records(form), file: None }] => Ok(*form),
        [Wanted { kind: Kind::Records(_), file: Some(file) }] => {
            Err(Failure::usage(format!("--format: name the file with -o {}", file.display())))
        }
        _ => Err(Failure::usage("--format: watch writes records, in one of the forms ecs, ocsf and cef")),
    }
}

/// What these values mean together with `-o`: the one of them that names no file goes there.
pub(super) fn resolve(wanted: &[Wanted], output: Option<&Path>) -> Result<Outputs, Failure> {
    let mut outputs = Outputs { form: None, records: None, documents: Documents::default() };
    let mut without_file: Option<&Wanted> = None;
    let mut files: Vec<&Path> = Vec::new();
    for (at, one) in wanted.iter().enumerate() {
        let name = one.name();
        if wanted[..at].iter().any(|other| other.kind == one.kind) {
            return Err(Failure::usage(format!("--format: {name} is named twice")));
        }
        if one.file.is_none()
            && let Some(other) = without_file.replace(one)
        {
            let place = output.map_or_else(|| "standard output".to_owned(), |file| file.display().to_string());
            let other = other.name();
            return Err(Failure::usage(format!(
                "--format: {other} and {name} would both go to {place}; name a file, as in {name}=FILE"
            )));
        }
        let file = one.file.as_deref().or(output);
        if let Some(file) = file {
            if files.contains(&file) {
                return Err(Failure::usage(format!("--format: two go to {}; name another file", file.display())));
            }
            files.push(file);
        }
        let file = file.map(Path::to_owned);
        match one.kind {
            Kind::Document(document) => outputs.documents.wanted.push((document, file)),
            Kind::Records(_) if outputs.form.is_some() => {
                return Err(Failure::usage("--format: records have one form; others are made by sinks"));
            }
            Kind::Records(form) => (outputs.form, outputs.records) = (Some(form), file),
        }
    }
    match output {
        Some(output) if without_file.is_none() => {
            Err(Failure::usage(format!("-o {}: each --format names a file of its own", output.display())))
        }
        _ => Ok(outputs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(formats: &str, output: Option<&str>) -> Result<String, String> {
        let wanted: Vec<Wanted> = formats.split(',').map(Wanted::parse).collect::<Result<_, _>>()?;
        let outputs = resolve(&wanted, output.map(Path::new)).map_err(|failure| failure.message)?;
        Ok(format!("{:?} {:?} {:?}", outputs.form, outputs.records, outputs.documents.wanted))
    }

    #[test]
    fn what_names_no_file_goes_to_the_output() {
        for (formats, output, meant) in [
            ("ecs", None, "Some(Ecs) None []"),
            ("cef", Some("a"), "Some(Cef) Some(\"a\") []"),
            ("sarif", None, "None None [(Sarif, None)]"),
            ("sarif", Some("a"), "None None [(Sarif, Some(\"a\"))]"),
            ("sarif=s,junit=j", None, "None None [(Sarif, Some(\"s\")), (Junit, Some(\"j\"))]"),
            ("github,ecs=e", None, "Some(Ecs) Some(\"e\") [(Github, None)]"),
            (
                "github,ecs=e,sarif=a=b",
                Some("o"),
                "Some(Ecs) Some(\"e\") [(Github, Some(\"o\")), (Sarif, Some(\"a=b\"))]",
            ),
        ] {
            assert_eq!(resolved(formats, output).as_deref(), Ok(meant), "{formats}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (formats, output, told) in [
            (
                "ecs,sarif",
                None,
                "--format: ecs and sarif would both go to standard output; name a file, as in sarif=FILE",
            ),
            (
                "junit,github",
                Some("x"),
                "--format: junit and github would both go to x; name a file, as in github=FILE",
            ),
            ("sarif=a,junit=a", None, "--format: two go to a; name another file"),
            ("sarif=a,junit", Some("a"), "--format: two go to a; name another file"),
            ("sarif=a,sarif=b", None, "--format: sarif is named twice"),
            ("ecs=a,cef=b", None, "--format: records have one form; others are made by sinks"),
            ("sarif=a", Some("b"), "-o b: each --format names a file of its own"),
            ("sarif=", None, "a file must follow 'sarif='"),
            ("xml", None, "there are ecs, ocsf, cef, sarif, junit, github, each also with a file, as in sarif=FILE"),
        ] {
            assert_eq!(resolved(formats, output).err().as_deref(), Some(told), "{formats}");
        }
    }
}
