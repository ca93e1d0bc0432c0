//! A page by its parts, whatever it is written as. All text in it is plain text.

/// A page.
pub(crate) struct Document {
    pub(crate) title: String,
    /// One sentence below the title.
    pub(crate) subtitle: String,
    pub(crate) chapters: Vec<Chapter>,
}

/// A chapter with its heading.
pub(crate) struct Chapter {
    /// Of letters and hyphens, to link to.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) blocks: Vec<Block>,
}

/// A part of a chapter.
pub(crate) enum Block {
    /// A heading within it.
    Heading(&'static str),
    Text(String),
    Notice(Tone, String),
    List(Vec<String>),
    Figures(Vec<Figure>),
    Table(Table),
    /// A drawing of the table that follows it.
    Bars(Bars),
    /// A drawing of the table that follows it.
    Flow(Flow),
    Remedy(Remedy),
}

/// What a notice or a number says of the state of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Plain,
    Warning,
    Bad,
}

/// A number with what it counts.
pub(crate) struct Figure {
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) note: String,
    pub(crate) tone: Tone,
}

/// A table; one of its columns names the rows.
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
    /// What is not in it, or how to read it; may be empty.
    pub(crate) note: String,
}

impl Table {
    /// Leaves out columns in which nothing stands.
    pub(crate) fn prune(&mut self) {
        for at in (0..self.columns.len()).rev() {
            let is_empty = self.rows.iter().all(|row| matches!(row.get(at), None | Some(Cell::Empty)));
            if is_empty && !self.rows.is_empty() {
                self.columns.remove(at);
                self.rows.iter_mut().for_each(|row| drop(row.remove(at)));
            }
        }
    }
}

/// The head of a column.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) is_number: bool,
    /// It names the rows.
    pub(crate) is_name: bool,
    /// It holds sentences, or lists of them.
    pub(crate) is_wide: bool,
}

impl Column {
    /// With sentences in it.
    pub(crate) const fn wide(mut self) -> Self {
        self.is_wide = true;
        self
    }
}

/// A column of text that names the rows.
pub(crate) const fn name(title: &'static str) -> Column {
    Column { title, is_number: false, is_name: true, is_wide: false }
}

/// A column of text.
pub(crate) const fn text(title: &'static str) -> Column {
    Column { title, is_number: false, is_name: false, is_wide: false }
}

/// A column of numbers.
pub(crate) const fn number(title: &'static str) -> Column {
    Column { title, is_number: true, is_name: false, is_wide: false }
}

/// What stands in a table.
pub(crate) enum Cell {
    Empty,
    Text(String),
    /// Several short texts, each a line.
    Lines(Vec<String>),
    /// A file, whose name may be broken at its folders.
    Path(String),
    /// What is typed elsewhere.
    Code(String),
    /// Text that leads to an address.
    Link(String, String),
    Number(u64),
    /// A part of a whole; `None` where the whole is nothing.
    Share(u64, u64),
    Severity(u8),
    /// A state in words.
    State(Tone, String),
    /// Names of remedies that stand in this page, each with what it is for.
    Remedies(Vec<(usize, String)>),
    /// Seconds since 1970, as text that sorts as it reads.
    Time(String),
}

impl Cell {
    /// Text, or nothing.
    pub(crate) fn some(text: &str) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(text.to_owned()) }
    }
}

/// Bars one beside the other, each of several parts.
pub(crate) struct Bars {
    /// They follow each other in time: their heights tell as well, not only the shares of their parts.
    pub(crate) is_time: bool,
    pub(crate) title: String,
    pub(crate) description: String,
    /// The names of the parts, each with the kind that gives its colour.
    pub(crate) parts: Vec<(&'static str, &'static str)>,
    pub(crate) bars: Vec<(String, Vec<u64>)>,
}

/// Ways in which sessions are protected as parts of a bar, in the order of [`crate::output::Protection`].
pub(crate) const PROTECTED: [(&str, &str); 4] =
    [("in clear", "bad"), ("STARTTLS", "good"), ("implicit TLS", "best"), ("not known", "unknown")];

/// What went from stage to stage.
pub(crate) struct Flow {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) stages: Vec<Stage>,
    /// How many took a way: for each stage the number of a state.
    pub(crate) ways: Vec<(Vec<usize>, u64)>,
}

/// The states that something can be in at a stage, each with the kind that gives its colour.
pub(crate) struct Stage {
    pub(crate) title: &'static str,
    pub(crate) states: Vec<(&'static str, &'static str)>,
}

/// What to set, and how to see that it took.
pub(crate) struct Remedy {
    pub(crate) number: usize,
    pub(crate) title: String,
    /// Of whom.
    pub(crate) concerns: String,
    pub(crate) setting: String,
    pub(crate) test: String,
    /// Versions that it was tried with; may be empty.
    pub(crate) checked: String,
}
