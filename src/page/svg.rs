//! Drawings beside tables: rectangles and bands that the page's style colours, so that they follow light, dark and paper.
//!
//! Each has a title and a description; what it shows in numbers stands in the table after it.

use super::document::{Bars, Flow};
use super::words::percent;
use crate::ops::grouped;
use maud::{Markup, html};

/// Units of a drawing from left to right; it is scaled to the room that there is.
const WIDTH: f64 = 760.0;

pub(crate) fn bars(bars: &Bars, id: &str) -> Markup {
    let drawing = if bars.is_time { columns(bars, id) } else { shares(bars, id) };
    html! {
        figure.chart {
            figcaption { (bars.title) ". " (bars.description) }
            ul.legend {
                @for (name, kind) in &bars.parts { li { span class={ "swatch " (kind) } {} (name) } }
            }
            div.scroll role="group" tabindex="0" aria-label=(bars.title) { (drawing) }
        }
    }
}

/// What a reader that cannot see is told; the ends of a drawing are given by its inner part.
fn drawing(title: &str, description: &str, id: &str, height: f64, inner: &Markup) -> Markup {
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (one(height)) } role="img" aria-labelledby={ (id) "-t " (id) "-d" } {
            title id={ (id) "-t" } { (title) }
            desc id={ (id) "-d" } { (description) " The table after it has the numbers." }
            (inner)
        }
    }
}

/// One decimal is a tenth of a pixel.
fn one(number: f64) -> String {
    format!("{number:.1}")
}

/// Bars from left to right, each of the same length: the share of each part.
fn shares(bars: &Bars, id: &str) -> Markup {
    const ROW: f64 = 34.0;
    const LEFT: f64 = 110.0;
    const ROOM: f64 = 530.0;
    let each = bars.bars.iter().enumerate().map(|(at, (label, parts))| {
        let top = at as f64 * ROW;
        let all: u64 = parts.iter().sum();
        let mut x = LEFT;
        let pieces = parts.iter().zip(&bars.parts).filter(|(count, _)| **count > 0).map(|(count, (name, kind))| {
            let width = ROOM * *count as f64 / all as f64;
            let start = x;
            x += width;
            html! {
                rect class=(kind) x=(one(start)) y=(one(top + 5.0)) width=(one(width)) height="24" {
                    title { (label) ", " (name) ": " (grouped(*count)) " (" (percent(*count, all)) ")" }
                }
            }
        });
        let pieces: Vec<Markup> = pieces.collect();
        html! {
            text x="0" y=(one(top + 22.0)) { (label) }
            @for piece in &pieces { (piece) }
            text x=(one(LEFT + ROOM + 12.0)) y=(one(top + 22.0)) { (grouped(all)) }
        }
    });
    let each: Vec<Markup> = each.collect();
    let inner = html! { @for bar in &each { (bar) } };
    drawing(&bars.title, &bars.description, id, bars.bars.len() as f64 * ROW + 4.0, &inner)
}

/// A number that people count by, at least `number`.
fn round_up(number: u64) -> u64 {
    let mut unit: u64 = 1;
    loop {
        for step in [1, 2, 5] {
            let round = unit.saturating_mul(step);
            if round >= number || round == u64::MAX {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// Bars from below, side by side, their heights to one scale.
fn columns(bars: &Bars, id: &str) -> Markup {
    const LEFT: f64 = 64.0;
    const TOP: f64 = 12.0;
    const ROOM: f64 = 180.0;
    let count = bars.bars.len().max(1);
    let slot = (WIDTH - LEFT) / count as f64;
    let most = bars.bars.iter().map(|(_, parts)| parts.iter().sum::<u64>()).max().unwrap_or_default();
    let top = round_up(most.max(1));
    let each = bars.bars.iter().enumerate().map(|(at, (label, parts))| {
        let x = LEFT + at as f64 * slot + slot * 0.1;
        let mut y = TOP + ROOM;
        let pieces = parts.iter().zip(&bars.parts).filter(|(count, _)| **count > 0).map(|(count, (name, kind))| {
            // One that is there is seen.
            let height = (ROOM * *count as f64 / top as f64).max(1.0);
            y -= height;
            html! {
                rect class=(kind) x=(one(x)) y=(one(y)) width=(one(slot * 0.8)) height=(one(height)) {
                    title { (label) ", " (name) ": " (grouped(*count)) }
                }
            }
        });
        let pieces: Vec<Markup> = pieces.collect();
        html! { @for piece in &pieces { (piece) } }
    });
    let each: Vec<Markup> = each.collect();
    let marks: Vec<u64> = if top >= 2 { vec![0, top / 2, top] } else { vec![0, top] };
    // The first, the middle and the last, as far as they do not meet.
    let mut named = vec![0, count / 2, count - 1];
    named.dedup();
    if count < 5 {
        named = (0..count).collect();
    }
    let inner = html! {
        @for mark in &marks {
            @let y = TOP + ROOM - ROOM * *mark as f64 / top as f64;
            line.grid x1=(LEFT) x2=(WIDTH) y1=(one(y)) y2=(one(y)) {}
            text.number x=(LEFT - 8.0) y=(one(y + 4.0)) { (grouped(*mark)) }
        }
        @for bar in &each { (bar) }
        @for at in &named {
            @if let Some((label, _)) = bars.bars.get(*at) {
                @let x = LEFT + (*at as f64 + 0.5) * slot;
                @let anchor = if count < 5 || (*at > 0 && *at + 1 < count) { "middle" } else if *at == 0 { "start" } else { "end" };
                @let x = match anchor { "start" => LEFT, "end" => WIDTH, _ => x };
                text class=(anchor) x=(one(x)) y=(one(TOP + ROOM + 22.0)) { (label) }
            }
        }
    };
    drawing(&bars.title, &bars.description, id, TOP + ROOM + 32.0, &inner)
}

/// A state at a stage, where it is drawn.
#[derive(Clone, Copy, Default)]
struct Node {
    total: u64,
    y: f64,
    height: f64,
    /// Where the next band arrives and where it leaves.
    next: [f64; 2],
}

const FLOW_TOP: f64 = 30.0;
const FLOW_ROOM: f64 = 190.0;
/// Room of a label below a state of whatever height.
const FLOW_GAP: f64 = 26.0;
const NODE: f64 = 14.0;
/// Room to the right of the last stage for its labels.
const LABELS: f64 = 150.0;

pub(crate) fn flow(flow: &Flow, id: &str) -> Markup {
    let stages = flow.stages.len();
    let total: u64 = flow.ways.iter().map(|(_, count)| count).sum();
    let scale = FLOW_ROOM / total.max(1) as f64;
    let mut nodes = lay_out(flow, scale);
    let bottom = nodes.iter().flatten().map(|node| node.y + node.height).fold(FLOW_TOP, f64::max);
    let step = (WIDTH - LABELS - NODE) / (stages.max(2) - 1) as f64;
    let mut bands: Vec<Markup> = Vec::new();
    for at in 0..stages.saturating_sub(1) {
        for (from, to, count) in links(flow, at) {
            let height = count as f64 * scale;
            let start = leave(&mut nodes[at][from], 1, height);
            let end = leave(&mut nodes[at + 1][to], 0, height);
            let (x1, x2) = (at as f64 * step + NODE, (at + 1) as f64 * step);
            let (from, (to, kind)) = (flow.stages[at].states[from].0, flow.stages[at + 1].states[to]);
            bands.push(html! {
                path class={ "band " (kind) } d=(band([x1, x2], [start, end], height.max(1.0))) {
                    title { (from) ", " (to) ": " (grouped(count)) }
                }
            });
        }
    }
    let inner = html! {
        @for band in &bands { (band) }
        @for (at, (stage, nodes)) in flow.stages.iter().zip(&nodes).enumerate() {
            @let x = at as f64 * step;
            text.stage x=(one(x)) y="16" { (stage.title) }
            @for ((name, kind), node) in stage.states.iter().zip(nodes).filter(|(_, node)| node.total > 0) {
                rect class=(kind) x=(one(x)) y=(one(node.y)) width=(NODE) height=(one(node.height)) {}
                text x=(one(x + NODE + 6.0)) y=(one(node.y + (node.height / 2.0).min(20.0) + 4.0)) {
                    (name) " " (grouped(node.total))
                }
            }
        }
    };
    html! {
        figure.chart {
            figcaption { (flow.title) ". " (flow.description) }
            div.scroll role="group" tabindex="0" aria-label=(flow.title) {
                (drawing(&flow.title, &flow.description, id, bottom + 14.0, &inner))
            }
        }
    }
}

fn lay_out(flow: &Flow, scale: f64) -> Vec<Vec<Node>> {
    let mut nodes: Vec<Vec<Node>> = flow.stages.iter().map(|stage| vec![Node::default(); stage.states.len()]).collect();
    for (way, count) in &flow.ways {
        for (at, state) in way.iter().enumerate() {
            if let Some(node) = nodes.get_mut(at).and_then(|stage| stage.get_mut(*state)) {
                node.total += count;
            }
        }
    }
    for stage in &mut nodes {
        let mut y = FLOW_TOP;
        for node in stage.iter_mut().filter(|node| node.total > 0) {
            node.height = (node.total as f64 * scale).max(2.0);
            (node.y, node.next) = (y, [y, y]);
            y += node.height + FLOW_GAP;
        }
    }
    nodes
}

/// What goes from each state of a stage to each of the next.
fn links(flow: &Flow, at: usize) -> Vec<(usize, usize, u64)> {
    let mut links = std::collections::BTreeMap::new();
    for (way, count) in &flow.ways {
        if let [from, to] = way[at..=at + 1] {
            *links.entry((from, to)).or_insert(0) += count;
        }
    }
    links.into_iter().map(|((from, to), count)| (from, to, count)).collect()
}

/// Where a band of this height meets a state, each below the one before.
fn leave(node: &mut Node, side: usize, height: f64) -> f64 {
    let at = node.next[side];
    node.next[side] += height;
    at
}

/// A band that bends half-way.
fn band([x1, x2]: [f64; 2], [y1, y2]: [f64; 2], height: f64) -> String {
    let middle = (x1 + x2) / 2.0;
    let (low1, low2) = (y1 + height, y2 + height);
    let all = [x1, y1, middle, y1, middle, y2, x2, y2, x2, low2, middle, low2, middle, low1, x1, low1].map(one);
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = all;
    format!("M{a} {b}C{c} {d} {e} {f} {g} {h}L{i} {j}C{k} {l} {m} {n} {o} {p}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        let ends = [1, 2, 3, 7, 11, 480, 501, u64::MAX].map(round_up);
        assert_eq!(ends, [1, 2, 5, 10, 20, 500, 1000, u64::MAX]);
    }
}
