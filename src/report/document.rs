//! A page by its parts, whatever it is written as. All text in it is plain text.

/// A page.
pub(super) struct Document {
    pub(super) title: String,
    /// One sentence below the title.
    pub(super) subtitle: String,
    pub(super) chapters: Vec<Chapter>,
}

/// A chapter with its heading.
pub(super) struct Chapter {
    /// Of letters and hyphens, to link to.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) blocks: Vec<Block>,
}

/// A part of a chapter.
pub(super) enum Block {
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
pub(super) enum Tone {
    Good,
    Plain,
    Warning,
    Bad,
}

/// A number with what it counts.
pub(super) struct Figure {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) note: String,
    pub(super) tone: Tone,
}

/// A table; one of its columns names the rows.
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// What is not in it, or how to read it; may be empty.
    pub(super) note: String,
}

impl Table {
    /// Leaves out columns in which nothing stands.
    pub(super) fn prune(&mut self) {
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
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) is_number: bool,
    /// It names the rows.
    pub(super) is_name: bool,
    /// It holds sentences, or lists of them.
    pub(super) is_wide: bool,
}

impl Column {
    /// With sentences in it.
    pub(super) const fn wide(mut self) -> Self {
        self.is_wide = true;
        self
    }
}

/// A column of text that names the rows.
pub(super) const fn name(title: &'static str) -> Column {
    Column { title, is_number: false, is_name: true, is_wide: false }
}

/// A column of text.
pub(super) const fn text(title: &'static str) -> Column {
    Column { title, is_number: false, is_name: false, is_wide: false }
}

/// A column of numbers.
pub(super) const fn number(title: &'static str) -> Column {
    Column { title, is_number: true, is_name: false, is_wide: false }
}

/// What stands in a table.
pub(super) enum Cell {
    Empty,
    Text(String),
    /// Several short texts, each a line.
    Lines(Vec<String>),
    /// A file, whose name may be broken at its folders.
    Path(String),
    /// What is typed elsewhere.
    Code(String),
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
    pub(super) fn some(text: &str) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(text.to_owned()) }
    }
}

/// Bars one beside the other, each of several parts.
pub(super) struct Bars {
    /// They follow each other in time: their heights tell as well, not only the shares of their parts.
    pub(super) is_time: bool,
    pub(super) title: String,
    pub(super) description: String,
    /// The names of the parts, each with the kind that gives its colour.
    pub(super) parts: Vec<(&'static str, &'static str)>,
    pub(super) bars: Vec<(String, Vec<u64>)>,
}

/// What went from stage to stage.
pub(super) struct Flow {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) stages: Vec<Stage>,
    /// How many took a way: for each stage the number of a state.
    pub(super) ways: Vec<(Vec<usize>, u64)>,
}

/// The states that something can be in at a stage, each with the kind that gives its colour.
pub(super) struct Stage {
    pub(super) title: &'static str,
    pub(super) states: Vec<(&'static str, &'static str)>,
}

/// What to set, and how to see that it took.
pub(super) struct Remedy {
    pub(super) number: usize,
    pub(super) title: String,
    /// Of whom.
    pub(super) concerns: String,
    pub(super) setting: String,
    pub(super) test: String,
    /// Versions that it was tried with; may be empty.
    pub(super) checked: String,
}
