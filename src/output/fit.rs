//! Keeps a line within its limit: what people can look up elsewhere goes first, the user's name last.

use super::event::{Few, Line, WireText};
use super::{LINE_OCTETS, convert, json};

/// Characters that remain of a text when nothing else helps. Twelve octets each at most (a surrogate pair).
const SHORT_CHARS: usize = 64;

/// What is given up, in this order, until the line fits. Fixed, so that equal records are cut alike.
const STEPS: [fn(&mut Line<'_>); 13] = [
    |line| drop(line.barewire.server.as_mut().and_then(|server| server.banner.take())),
    |line| drop(line.barewire.evidence.as_mut().and_then(|evidence| evidence.capabilities.take())),
    |line| drop(line.tls.as_mut().and_then(|tls| tls.server.take())),
    |line| line.barewire.evidence = None,
    |line| line.event.reason = None,
    |line| line.barewire.remediation = None,
    |line| line.barewire.client = None,
    |line| drop(line.tls.as_mut().and_then(|tls| tls.client.take())),
    |line| line.related.iter_mut().for_each(|related| related.user = Few::default()),
    |line| drop(line.barewire.login.as_mut().and_then(|login| login.authzid.take())),
    shorten_accepted,
    shorten_place,
    shorten_user,
];

/// Appends the line with its line feed; says whether something had to go.
pub(super) fn write(line: &mut Line<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    append(line, out);
    let mut is_cut = false;
    for step in STEPS {
        if out.len() - start <= LINE_OCTETS {
            break;
        }
        is_cut = true;
        line.barewire.truncated = Some(true);
        step(line);
        out.truncate(start);
        append(line, out);
    }
    is_cut
}

fn append(line: &Line<'_>, out: &mut Vec<u8>) {
    json::append(line, out);
    out.push(b'\n');
}

fn shorten_place(line: &mut Line<'_>) {
    (line.observer, line.log) = (line.short_place.observer(), line.short_place.log());
}

/// The end of a path tells more than its beginning.
pub(super) fn shortened(mut name: WireText<'_>, is_live: bool) -> WireText<'_> {
    if is_live {
        shorten(&mut name);
        return name;
    }
    let skipped = name.chars().count().saturating_sub(SHORT_CHARS);
    name.chars().skip(skipped).collect::<String>().into()
}

fn shorten_accepted(line: &mut Line<'_>) {
    if let Some(accepted) = &mut line.barewire.accepted {
        [&mut accepted.reason, &mut accepted.owner].into_iter().for_each(shorten);
    }
}

fn shorten_user(line: &mut Line<'_>) {
    if let Some(user) = &mut line.user {
        user.name.iter_mut().chain(&mut user.domain).for_each(shorten);
        line.barewire.user = Some(convert::LOSSY);
    }
}

fn shorten(text: &mut WireText<'_>) {
    *text = text.chars().take(SHORT_CHARS).collect::<String>().into();
}
