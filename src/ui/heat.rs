//! Between which client and server findings occurred: a table whose cells are the darker the more often it happened.

use super::query::Dimension;
use super::view::Look;
use crate::ops::{counted, grouped};
use maud::{Markup, html};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// Columns.
const SERVERS: usize = 8;
/// Rows.
const CLIENTS: usize = 12;
/// Shades besides that of nothing, each for three times as often as the one before.
const SHADES: u32 = 5;

pub(super) fn map(look: &Look<'_>) -> Markup {
    let mut counts: HashMap<(IpAddr, (IpAddr, u16)), u64> = HashMap::new();
    for row in &look.rows {
        if let (Some(client), Some(server)) = (row.about.client, row.about.server) {
            let count = counts.entry((client, server)).or_default();
            *count = count.saturating_add(row.count);
        }
    }
    if counts.is_empty() {
        return html! {};
    }
    let (clients, servers) = chosen(&counts);
    let shown = counts.keys().filter(|(client, server)| clients.contains(client) && servers.contains(server)).count();
    let more = counts.len() - shown;
    let count = |client: &IpAddr, server: &(IpAddr, u16)| counts.get(&(*client, *server)).copied().unwrap_or_default();
    html! {
        div.scroll role="group" tabindex="0" aria-labelledby="heat-caption" {
            table.heat {
                caption { span #heat-caption { "How often, by client and server" } }
                thead { tr {
                    th scope="col" { "Client" }
                    @for (ip, port) in &servers { th.number scope="col" { (SocketAddr::new(*ip, *port)) } }
                } }
                tbody {
                    @for client in &clients {
                        tr {
                            th scope="row" { (client) }
                            @for server in &servers {
                                @let times = count(client, server);
                                @if times == 0 {
                                    td.number {}
                                } @else {
                                    td class={ "number heat-" (shade(times)) } { a href=(link(look, client, server)) { (grouped(times)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if more > 0 { p.note { "And " (counted(more as u64, "pair")) " of client and server more." } }
    }
}

/// The ends of the pairs that occurred most, as many as there is room for.
fn chosen(counts: &HashMap<(IpAddr, (IpAddr, u16)), u64>) -> (Vec<IpAddr>, Vec<(IpAddr, u16)>) {
    let mut pairs: Vec<_> = counts.iter().map(|(pair, count)| (Reverse(*count), *pair)).collect();
    pairs.sort_unstable();
    let (mut clients, mut servers) = (Vec::new(), Vec::new());
    for (_, (client, server)) in pairs {
        let (has_client, has_server) = (clients.contains(&client), servers.contains(&server));
        if (has_client || clients.len() < CLIENTS) && (has_server || servers.len() < SERVERS) {
            clients.extend((!has_client).then_some(client));
            servers.extend((!has_server).then_some(server));
        }
    }
    (clients, servers)
}

fn link(look: &Look<'_>, client: &IpAddr, (ip, port): &(IpAddr, u16)) -> String {
    let of_client = look.query.with(Dimension::Client, &client.to_string());
    of_client.with(Dimension::Server, &SocketAddr::new(*ip, *port).to_string()).link()
}

fn shade(times: u64) -> u32 {
    times.max(1).ilog(3).min(SHADES - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_are_pairs_that_occur() {
        let address = |number: u32| IpAddr::from(number.to_be_bytes());
        let counts: HashMap<_, _> =
            (0..100).map(|at| ((address(at), (address(1000 + at), 25)), u64::from(at))).collect();
        let (clients, servers) = chosen(&counts);
        assert_eq!((clients.len(), servers.len()), (SERVERS, SERVERS));
        assert!(clients.iter().zip(&servers).all(|(client, server)| counts[&(*client, *server)] > 90));
        let star: HashMap<_, _> = (0..100).map(|at| ((address(at), (address(1000), 25)), u64::from(at))).collect();
        assert_eq!(chosen(&star).0.len(), CLIENTS);
    }

    #[test]
    fn shades_grow_with_the_times() {
        assert_eq!([1, 2, 3, 8, 9, 80, 81, u64::MAX].map(shade), [1, 1, 2, 2, 3, 4, 5, 5]);
    }
}
