//! Other nodes, and the DHT.

use super::*;

#[test]
fn a_list_of_nodes_reads_well_at_80_columns() {
    let text = peer::render(&samples::network::peers(), &TERMINAL);
    assert_fits(&text);
    assert_golden("peers.80.txt", &text);
    assert_eq!(peer::render(&[], &TERMINAL), "No other nodes are known.\n");
}

#[test]
fn a_list_of_nodes_in_a_pipe_has_one_line_each() {
    let peers = samples::network::peers();
    let text = peer::render(&peers, &PIPE);
    assert_eq!(text.lines().count(), peers.len() + 1);
    assert_golden("peers.pipe.txt", &text);
}

#[test]
fn the_answers_of_nodes_read_well_at_80_columns() {
    let text = peer::answers(&samples::network::pings(), &TERMINAL);
    assert_fits(&text);
    assert_golden("pings.80.txt", &text);
}

#[test]
fn a_list_of_upstreams_reads_well_at_80_columns() {
    let text = upstream::render(&samples::network::upstreams(), &TERMINAL);
    assert_golden("upstreams.80.txt", &text);
    assert_eq!(upstream::render(&[], &TERMINAL), "No cache has upstreams.\n");
    assert_eq!(upstream::troubles(&samples::network::upstreams()[..1], &TERMINAL), "");
}

#[test]
fn a_list_of_upstreams_in_a_pipe_has_one_line_each() {
    let mut upstreams = samples::network::upstreams();
    upstreams.iter_mut().for_each(|upstream| upstream.last_error = None);
    let text = upstream::render(&upstreams, &PIPE);
    assert_eq!(text.lines().count(), upstreams.len() + 1);
    assert_golden("upstreams.pipe.txt", &text);
}

#[test]
fn the_answers_of_upstreams_read_well_at_80_columns() {
    let text = upstream::answers(&samples::network::upstream_checks(), &TERMINAL);
    assert_fits(&text);
    assert_golden("upstream-checks.80.txt", &text);
}

#[test]
fn the_state_of_the_dht_reads_well_at_80_columns() {
    let text = dht::render(&samples::network::dht(), &TERMINAL);
    assert_fits(&text);
    assert_golden("dht.80.txt", &text);
}

#[test]
fn records_of_the_dht_read_well_at_80_columns() {
    let records = samples::network::records();
    let texts: Vec<_> = records.iter().map(|record| dht::record_text(record, &TERMINAL)).collect();
    let text = texts.join("\n");
    assert_fits(&text);
    assert_golden("records.80.txt", &text);
}
