//! Words that many records share, each kept once.

use crate::finding::CATALOGUE;
use crate::mail::Outcome;
use crate::ops::metrics::OUTCOMES;
use std::collections::HashMap;

/// Different words. Names of findings, mechanisms and outcomes are few, but for records that strangers wrote.
const MOST: usize = 1000;

/// Words by number.
pub(super) struct Words {
    all: Vec<Box<str>>,
    known: HashMap<Box<str>, u16>,
}

impl Default for Words {
    /// With the word that stands for those beyond [`MOST`], and those that no stranger's may displace.
    fn default() -> Self {
        let mut words = Self { all: vec!["(other)".into()], known: HashMap::new() };
        for word in CATALOGUE.iter().map(|entry| entry.name).chain(OUTCOMES.map(Outcome::name)) {
            words.number(word);
        }
        words
    }
}

impl Words {
    /// The number of a word.
    pub(super) fn number(&mut self, word: &str) -> u16 {
        if let Some(&number) = self.known.get(word) {
            return number;
        }
        if self.all.len() > MOST {
            return 0;
        }
        let number = self.all.len() as u16;
        self.all.push(word.into());
        self.known.insert(word.into(), number);
        number
    }

    /// All of them by their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|word| &**word)
    }

    pub(super) fn find(&self, word: &str) -> Option<u16> {
        let other = (&*self.all[0] == word).then_some(0);
        self.known.get(word).copied().or(other)
    }

    pub(super) fn text(&self, number: u16) -> &str {
        self.all.get(usize::from(number)).map_or("", |word| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_bounded() {
        let mut words = Words::default();
        let before = words.all.len();
        let numbers: Vec<u16> = (0..2 * MOST).map(|at| words.number(&at.to_string())).collect();
        assert_eq!((usize::from(numbers[0]), words.text(numbers[0])), (before, "0"));
        assert_eq!((words.number("0"), words.find("0"), words.find("nothing")), (numbers[0], Some(numbers[0]), None));
        assert!(numbers[MOST..].iter().all(|number| *number == 0));
        assert_eq!((words.all.len(), words.find("(other)")), (MOST + 1, Some(0)));
    }
}
