//! Agents that misbehave: each costs itself at most, and nobody else anything.

use std::io::Write as _;

use super::{
    Fleet, agent_headers, carry_out, expect_deployment, expect_nothing, finished, line, log_target, open,
    read_to_end, started, wait_until_done,
};
use crate::harness::SOON;
use crate::harness::websocket::{Frame, WebSocket};

/// Steps of a deployment after which an agent may lose everything.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Step {
    Connected,
    Told,
    AtWork,
    Started,
    Logging,
    Logged,
    Finished,
}

const STEPS: [Step; 7] =
    [Step::Connected, Step::Told, Step::AtWork, Step::Started, Step::Logging, Step::Logged, Step::Finished];

/// Goes through a deployment up to a step, and then loses all sockets without a word.
fn work_until(fleet: &Fleet, id: &str, last: Step) {
    let mut agent = fleet.connect("a1");
    if last < Step::Told {
        return;
    }
    assert_eq!(expect_deployment(&mut agent)["id"], id);
    if last < Step::AtWork {
        return;
    }
    let mut work = fleet.work("a1");
    if last < Step::Started {
        return;
    }
    work.send_json(&started(id, None)).unwrap();
    fleet.wait_for_status(id, "InProgress");
    if last < Step::Logging {
        return;
    }
    let mut producer = fleet.produce("a1", id);
    producer.send_json(&line("working")).unwrap();
    if last < Step::Logged {
        return;
    }
    producer.close();
    if last < Step::Finished {
        return;
    }
    work.send_json(&finished(id, true)).unwrap();
    fleet.wait_for_status(id, "Succeeded");
}

#[test]
fn an_agent_that_opens_sockets_without_end_leaves_some_for_others() {
    let fleet = Fleet::with(|config| config["server"]["max-connections"] = 64.into());
    let mut sockets: Vec<WebSocket> = (0..16).map(|_| fleet.work("a1")).collect();
    let headers = agent_headers("a1", fleet.agent_token("a1"));
    let one_more = || open(&fleet.site.api(), "/ws-deployment", &headers);
    assert_eq!(one_more().err().unwrap().status, 503);
    let id = fleet.activate("a2", &fleet.push("for-another"));
    carry_out(&fleet, "a2", &id, true);
    fleet.wait_for_status(&id, "Succeeded");
    sockets.pop().unwrap().close();
    wait_until_done("there is room again", || one_more().is_ok());
}

#[test]
fn an_agent_that_drops_its_sockets_at_any_step_goes_on_where_it_was() {
    let fleet = Fleet::start();
    for step in STEPS {
        let id = fleet.deploy();
        work_until(&fleet, &id, step);
        let mut agent = fleet.connect("a1");
        if step < Step::Started {
            assert_eq!(expect_deployment(&mut agent)["id"], id.as_str(), "{step:?}");
        } else {
            expect_nothing(&mut agent);
        }
        carry_out(&fleet, "a1", &id, true);
        fleet.wait_for_status(&id, "Succeeded");
        let lines = read_to_end(&mut fleet.view(&id));
        // Whether the line was read before the socket was lost is a matter of luck.
        if step != Step::Logging {
            assert_eq!(lines.len(), usize::from(step > Step::Logging), "{step:?}");
        }
    }
}

#[test]
fn garbage_ends_the_connection_it_came_over_and_no_other() {
    let fleet = Fleet::start();
    let mut bystander = fleet.connect("a2");
    let id = fleet.deploy();
    let targets = ["/ws".to_owned(), "/ws-deployment".to_owned(), log_target(&id)];
    let bad: [&[u8]; 5] = [
        // Not masked, reserved bits, a reserved opcode, a huge length, HTTP.
        b"\x81\x05hello",
        b"\xf1\x80\x00\x00\x00\x00",
        b"\x83\x80\x00\x00\x00\x00",
        b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    for target in &targets {
        for bytes in bad {
            let mut socket = fleet.open("a1", target);
            socket.answers_pings = false;
            socket.send_raw(bytes).unwrap();
            wait_until_done("the connection ends", || {
                matches!(socket.receive(SOON), Some(Frame::End | Frame::Close(_)))
            });
        }
    }
    expect_nothing(&mut bystander);
    carry_out(&fleet, "a1", &id, true);
    fleet.wait_for_status(&id, "Succeeded");
}

#[test]
fn a_message_in_pieces_is_a_message() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut work = fleet.work("a1");
    let text = started(&id, None).to_string();
    let (first, second) = text.split_at(20);
    // Masked with zeros, which changes nothing.
    let frame = |head: u8, part: &str| {
        let length = part.len() as u16;
        [&[head, 0x80 | 126][..], &length.to_be_bytes(), &[0; 4], part.as_bytes()].concat()
    };
    work.send_raw(&frame(0x01, first)).unwrap();
    work.send_ping(b"between").unwrap();
    work.expect_pong(b"between");
    work.send_raw(&frame(0x80, second)).unwrap();
    fleet.wait_for_status(&id, "InProgress");
}

#[test]
fn duplicates_change_nothing() {
    let fleet = Fleet::start();
    let mut agent = fleet.connect("a1");
    let id = fleet.deploy();
    expect_deployment(&mut agent);
    let mut works = [fleet.work("a1"), fleet.work("a1")];
    for message in [started(&id, None), started(&id, Some(7)), finished(&id, true)] {
        for work in &mut works {
            work.send_json(&message).unwrap();
            work.send_json(&message).unwrap();
        }
    }
    works.into_iter().for_each(WebSocket::close);
    fleet.wait_for_status(&id, "Succeeded");
    assert_eq!(fleet.deployment(&id)["closureSize"], 7);
    expect_nothing(&mut agent);
}

/// It never reads, so the answers to its pings fill every buffer there is.
#[test]
fn an_agent_that_reads_nothing_costs_the_others_nothing() {
    let fleet = Fleet::start();
    let mut silent = fleet.connect("a1");
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[b'x'; 125]].concat();
    let many = ping.repeat(2000);
    let mut stream = fleet.site.api().connect().unwrap();
    // A second one that does not even end its request.
    stream.write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\n").unwrap();
    for _ in 0..4 {
        if silent.send_raw(&many).is_err() {
            break;
        }
    }
    let mut other = fleet.connect("a2");
    let id = fleet.activate("a2", &fleet.push("other"));
    assert_eq!(expect_deployment(&mut other)["id"], id.as_str());
    carry_out(&fleet, "a2", &id, true);
    fleet.wait_for_status(&id, "Succeeded");
}

#[test]
fn an_agent_that_comes_back_again_and_again_is_served_each_time() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    for _ in 0..200 {
        drop(fleet.connect("a1"));
    }
    let mut agent = fleet.connect("a1");
    assert_eq!(expect_deployment(&mut agent)["id"], id.as_str());
}

#[test]
fn another_version_of_websockets_is_refused() {
    let fleet = Fleet::start();
    let request = fleet.site.api().get("/ws").bearer(fleet.agent_token("a1"));
    let reply = request
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "8")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .send();
    assert_eq!(reply.status, 426);
}
