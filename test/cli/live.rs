//! A live view, read back by a WebSocket client that knows nothing of the server but its protocol
//! (<https://github.com/foxglove/ws-protocol/blob/main/docs/spec.md>).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};
use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::live_view::LiveView;
use vlm_planner_tuner::viewer::{DECISION_TOPIC, OVERLAY_TOPIC, decision_messages};

use crate::support::expect;

/// Topic, time, bytes.
type Seen = (String, u64, Vec<u8>);

struct Client {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    /// By subscription, which has the channel's number.
    topics: BTreeMap<u32, String>,
}

impl Client {
    fn connect(url: &str) -> Self {
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "foxglove.sdk.v1".parse().unwrap());
        let (socket, response) = tungstenite::connect(request).unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "foxglove.sdk.v1");
        Self { socket, topics: BTreeMap::new() }
    }

    fn say(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).unwrap();
    }

    /// Subscribes to what is advertised. The next message; `None` at the end.
    fn next(&mut self) -> Option<Seen> {
        loop {
            match self.socket.read().ok()? {
                Message::Text(text) => {
                    let said: Value = serde_json::from_str(&text).unwrap();
                    if said["op"] == "advertise" {
                        self.subscribe(&said["channels"]);
                    }
                }
                // Opcode 1: subscription, time, bytes.
                Message::Binary(bytes) if bytes.first() == Some(&1) => {
                    let (head, data) = bytes[1..].split_at(12);
                    let subscription = u32::from_le_bytes(head[..4].try_into().unwrap());
                    let time = u64::from_le_bytes(head[4..].try_into().unwrap());
                    return Some((self.topics[&subscription].clone(), time, data.to_vec()));
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    fn subscribe(&mut self, channels: &Value) {
        for channel in channels.as_array().unwrap() {
            let id = channel["id"].as_u64().unwrap();
            assert!(!channel["schema"].as_str().unwrap().is_empty(), "{channel}");
            self.topics.insert(id as u32, channel["topic"].as_str().unwrap().to_owned());
            self.say(&json!({ "op": "subscribe", "subscriptions": [{ "id": id, "channelId": id }] }));
        }
    }
}

#[test]
fn a_live_drive_is_what_the_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mcap");
    let mut child = Command::new(env!("CARGO_BIN_EXE_planner_tuner"))
        .args(["drive", "--world", "generated:3", "--policy", "expert", "--live=127.0.0.1:0", "--pace", "4", "--mcap"])
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let url = lines.find_map(|line| {
        let line = line.unwrap();
        let begin = line.find("ws://")?;
        Some(line[begin..].trim().to_owned())
    });
    let mut client = Client::connect(&url.expect("it says where it listens"));
    let seen: Vec<Seen> = std::iter::from_fn(|| client.next()).collect();
    assert!(child.wait().unwrap().success());

    let file = std::fs::read(&path).unwrap();
    let written: Vec<Seen> = mcap::MessageStream::new(&file)
        .unwrap()
        .map(|message| {
            let message = message.unwrap();
            (message.channel.topic.clone(), message.log_time, message.data.to_vec())
        })
        .collect();
    let topics: std::collections::BTreeSet<&str> = written.iter().map(|(topic, _, _)| topic.as_str()).collect();
    assert_eq!(
        topics.into_iter().collect::<Vec<_>>(),
        ["/costmap_image/attention", "/field", "/plan", "/planner_parameters", "/pose", "/scan", "/tf"]
    );
    // Who comes later has missed the beginning, and each channel up to the subscription; then nothing, in order.
    assert!(seen.len() > written.len() / 2, "{} of {} messages", seen.len(), written.len());
    for topic in ["/scan", "/planner_parameters", "/tf", "/plan", "/pose", "/costmap_image/attention"] {
        let of = |messages: &[Seen]| -> Vec<Seen> {
            messages.iter().filter(|(other, _, _)| other == topic).cloned().collect()
        };
        let (seen, written) = (of(&seen), of(&written));
        assert!(!seen.is_empty() && written.ends_with(&seen), "{topic}: {} of {}", seen.len(), written.len());
    }
    assert!(seen.is_sorted_by_key(|(_, time, _)| *time));
}

#[test]
fn a_viewer_that_says_rubbish_or_never_reads_disturbs_nobody() {
    let mut live = LiveView::open("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("ws://127.0.0.1:{}", live.port());
    let messages = |number: i64| {
        let png = vec![number as u8; 20_000];
        decision_messages(Stamp::from_nanos(number), &png, &json!({ "number": number })).unwrap()
    };
    // Channels come into being with their first message.
    messages(0).iter().for_each(|message| live.show(message).unwrap());

    let mut rubbish = Client::connect(&url);
    for said in [json!({}), json!([1]), json!({ "op": "subscribe", "subscriptions": [{ "id": 1, "channelId": 999 }] })]
    {
        rubbish.say(&said);
    }
    rubbish.socket.send(Message::binary(vec![250, 1, 2])).unwrap();
    // A socket that is no WebSocket, and one that ends in the middle of a handshake.
    let mut raw = TcpStream::connect(("127.0.0.1", live.port())).unwrap();
    std::io::Write::write_all(&mut raw, b"\x00\xff no handshake\r\n\r\n").unwrap();
    drop(TcpStream::connect(("127.0.0.1", live.port())).unwrap());

    let mut sleeper = Client::connect(&url);
    for id in [1, 2] {
        sleeper.say(&json!({ "op": "subscribe", "subscriptions": [{ "id": id, "channelId": id }] }));
    }
    let mut reader = Client::connect(&url);
    let numbers = std::thread::spawn(move || {
        let mut numbers = Vec::new();
        while let Some((topic, time, _)) = reader.next() {
            assert!([OVERLAY_TOPIC, DECISION_TOPIC].contains(&topic.as_str()));
            numbers.push(time);
        }
        numbers
    });
    // 40 MB for each viewer: more than sockets hold. A reader that is subscribed sees the last one.
    for number in 1..=2000 {
        messages(number).iter().for_each(|message| live.show(message).unwrap());
        if number % 100 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    assert!(live.viewers() >= 2, "{} viewers", live.viewers());
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(live);
    let numbers = numbers.join().unwrap();
    assert!(numbers.is_sorted() && numbers.last() == Some(&2000), "{:?} of {}", numbers.last(), numbers.len());
    let mut rest = Vec::new();
    let _ = raw.read_to_end(&mut rest);
}

#[test]
fn a_port_in_use_and_a_wrong_address_are_said_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let live = format!("--live={}", taken.local_addr().unwrap());
    let run = |live: &str| {
        Command::new(env!("CARGO_BIN_EXE_planner_tuner"))
            .args(["drive", "--world", "generated:3", "--time-limit", "1", live])
            .output()
            .unwrap()
    };
    let said = expect(1, &run(&live));
    assert!(said.contains("is the port in use? name another one, such as --live=127.0.0.1:"), "{said}");
    let said = expect(2, &run("--live=robot"));
    assert!(said.contains("expected PORT, ADDRESS or ADDRESS:PORT"), "{said}");
}
