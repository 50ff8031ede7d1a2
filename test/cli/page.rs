//! Pages: `--html`. That they say what happened, hold all they show, and load nothing.

use std::path::Path;
use std::process::{Command, Output};

use vlm_planner_tuner::page::{Cell, Column, Finding, Page, Picture, Quantity, Table, Timeline, Weight};
use vlm_planner_tuner::transition::{Ending, ParameterOutcome};

use crate::support::episode::{steps, write};
use crate::support::{expect, own_fixture_set, say};

fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_planner_tuner")).args(args).current_dir(folder).output().unwrap()
}

/// The elements that are open at each place: what is opened is closed, in order, and attributes have quotes.
fn check_well_formed(html: &str) {
    const VOID: [&str; 4] = ["meta", "link", "img", "input"];
    let mut open = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("a page begins with its type");
    while let Some(start) = rest.find('<') {
        assert!(
            !rest[..start].contains('>') || matches!(open.last(), Some(&"script" | &"style")),
            "{}",
            &rest[..start]
        );
        rest = &rest[start + 1..];
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed too early or too late");
            continue;
        }
        let name = tag.split_whitespace().next().unwrap();
        assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric()), "{name}");
        assert!(tag.matches('"').count().is_multiple_of(2), "{tag}");
        if VOID.contains(&name) {
            continue;
        }
        if matches!(name, "script" | "style") {
            let end = rest.find(&format!("</{name}>")).expect("it ends");
            rest = &rest[end..];
        }
        open.push(name);
    }
    assert!(open.is_empty(), "{open:?} are never closed");
}

/// All that a browser could fetch or run is the page's own.
fn check_self_contained(html: &str) {
    assert!(html.contains("default-src 'none'; img-src data:;"), "a policy that lets nothing be loaded");
    for attribute in ["src=", "href="] {
        for (start, _) in html.match_indices(attribute) {
            // The script sets pictures from the strip.
            let value = &html[start + attribute.len()..];
            let Some(value) = value.strip_prefix('"') else { continue };
            assert!(value.starts_with("data:") || value.starts_with('#'), "{}", &value[..value.len().min(60)]);
        }
    }
    for forbidden in ["http:", "https:", "//cdn", "@import", "url(", "<iframe", "<object", "<embed"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert_eq!(html.matches("<script").count(), 1, "the page's own script");
}

fn check(html: &str) {
    check_well_formed(html);
    check_self_contained(html);
}

fn timeline(moments: usize) -> Timeline {
    let quantities =
        vec![Quantity::chosen("max_vel_x", "m/s", Some((0.2, 2.0))).with_default(0.5), Quantity::measured("age", "ms")];
    let mut timeline = Timeline::new("decision", "s", quantities);
    for number in 0..moments {
        timeline.push(number as f64 * 0.5, vec![1.0 + 0.5 * (number as f64 * 0.1).sin(), number as f64 % 7.0], "");
        if timeline.wants_picture() {
            let bytes = vec![number as u8; 25_000];
            timeline.add_picture(Picture { media_type: "image/jpeg", bytes, width: 420, height: 280 });
        }
    }
    timeline
}

#[test]
fn a_replay_becomes_a_page_that_says_and_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let (set, drive) = (own_fixture_set("tiny_vlm"), own_fixture_set("demo_drive").display().to_string());
    let part = |name: &str| set.join(name).display().to_string();
    let (base, checkpoint, policy) = (part("base"), part("checkpoint"), part("policy"));
    let model = ["--base", &base, "--checkpoint", &checkpoint, "--policy", &policy];
    let args = [&["replay", drive.as_str(), "--rate", "1", "--html", "drive.html"][..], &model].concat();
    expect(0, &run(folder.path(), &args));
    let html = std::fs::read_to_string(folder.path().join("drive.html")).unwrap();
    check(&html);
    assert!(html.contains("DWA parameters") && html.contains("demo_drive · 15 decisions"));
    for name in ["max_vel_x", "inflation_radius", "linear velocity", "took"] {
        assert!(html.contains(&format!("<b>{name}</b>")), "{name}");
    }
    assert_eq!(html.matches("<img src=\"data:image/jpeg;base64,").count(), 15, "a frame for each decision");
    assert_eq!(html.matches("<tr id=\"m").count(), 15, "a row for each decision");
    assert!(html.contains("<tr id=\"m14\"") && html.contains("<figure id=\"f14\"") && html.contains("href=\"#m14\""));
    assert_eq!(folder.path().read_dir().unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_replay_without_a_decision_says_so_on_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let (set, drive) = (own_fixture_set("tiny_vlm"), own_fixture_set("demo_drive").display().to_string());
    let part = |name: &str| set.join(name).display().to_string();
    let (base, checkpoint) = (part("base"), part("checkpoint"));
    let args = ["replay", &drive, "--image-size", "10x10", "--html", "none.html", "--base", &base, "--checkpoint"];
    expect(3, &run(folder.path(), &[&args[..], &[&checkpoint]].concat()));
    let html = std::fs::read_to_string(folder.path().join("none.html")).unwrap();
    check(&html);
    assert!(html.contains("No decision was made") && html.contains("30 skipped: wrong_size"));
    assert!(html.contains("There is no decision to show"));
}

#[test]
fn a_comparison_becomes_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["evaluate", "--worlds", "generated:3-4", "--policy", "default", "--policy", "fixed:max_vel_x=1.2"];
    expect(0, &run(folder.path(), &[&args[..], &["--html", "comparison.html", "--time-limit", "30"]].concat()));
    let html = std::fs::read_to_string(folder.path().join("comparison.html")).unwrap();
    check(&html);
    for part in
        ["fixed:max_vel_x=1.2 against default: nav metric", "default: ", "generated:4", "Nav metric", "drives reached"]
    {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(html.matches("<td>fixed:max_vel_x=1.2</td>").count(), 2, "a row a drive");
    // The worlds, with everybody's way through each.
    assert!(html.contains("Where fixed:max_vel_x=1.2 did worst"));
    assert_eq!((html.matches("<figure class=\"field\"").count(), html.matches("<path class=\"track").count()), (2, 4));
}

#[test]
fn a_drive_becomes_a_page_with_a_map_and_what_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["drive", "--world", "generated:3", "--policy", "expert", "--html", "drive.html"];
    let output = run(folder.path(), &args);
    expect(0, &output);
    let html = std::fs::read_to_string(folder.path().join("drive.html")).unwrap();
    check(&html);
    let words = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = words.lines().collect();
    assert_eq!(lines.len(), 3, "each drive, and how they compare: {words}");
    for line in &lines {
        assert!(html.contains(line), "{line}");
    }
    let rows = html.matches("<tr id=\"m").count();
    assert!(rows > 10, "{rows} decisions");
    assert_eq!(html.matches("<img src=\"data:image/jpeg;base64,").count(), rows, "what was seen at each");
    assert_eq!(html.matches("<path class=\"track").count(), 2, "both ways");
}

#[test]
fn logs_become_a_page_with_what_they_have_lost() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut refused = steps(20, Ending::Success);
    refused[4].parameters[0].outcome = ParameterOutcome::Refused;
    write(&at.join("l<b>&"), "first", &refused, 4);
    write(&at.join("l<b>&"), "second", &steps(12, Ending::Collision), 4);
    // A third is cut in the middle.
    write(&at.join("other"), "third", &steps(40, Ending::Success), 4);
    let whole = at.join("other").read_dir().unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(at.join("l<b>&/third.mcap"), &bytes[..bytes.len() / 2]).unwrap();
    expect(3, &run(at, &["inspect", "l<b>&", "--html", "logs.html"]));
    let html = std::fs::read_to_string(at.join("logs.html")).unwrap();
    check(&html);
    assert!(html.contains("l&lt;b&gt;&amp;") && !html.contains("l<b>"), "names are escaped");
    for part in
        ["3 episodes", "the episode's end is missing", "second ended in a collision", "max_vel_x was refused in 1 of"]
    {
        assert!(html.contains(part), "{part}");
    }
    assert!(html.contains("<td>refused: max_vel_x</td>"), "the step says so, too");
    assert!(html.contains("data:image/jpeg;base64,"));

    let talk = expect(1, &run(at, &["inspect", "logs.html", "--html", "x.html"]));
    assert!(talk.contains("logs.html"), "{talk}");
    let talk = expect(1, &run(at, &["inspect", "l<b>&", "--html", "none/x.html"]));
    assert!(talk.contains("--html none/x.html: there is no folder none"), "{talk}");
}

#[test]
fn what_stands_in_names_is_text() {
    let hostile = "\"><script>alert(1)</script><img src=x onerror=alert(2)>&'";
    let mut page = Page::new(hostile, hostile);
    page.say([Finding::new(Weight::Lost, hostile)]);
    let mut table = Table::new(hostile, vec![Column::words(hostile)]);
    table.note(hostile);
    table.push(vec![Cell::new(hostile)]);
    page.add(&table);
    let mut timeline = Timeline::new("decision", "s", vec![Quantity::chosen(hostile, hostile, None)]);
    timeline.push(0.0, vec![1.0], hostile);
    page.show(timeline);
    let html = page.to_html();
    check(&html);
    assert!(!html.contains("<script>alert") && !html.contains("<img src=x"));
}

#[test]
fn a_short_drive_is_whole_and_small() {
    let mut page = Page::new("drive", "");
    page.show(timeline(200));
    let html = page.to_html();
    check(&html);
    assert_eq!(html.matches("<img src=").count(), 200);
    assert_eq!(html.matches("<tr id=").count(), 200);
    assert!(html.len() < 10_000_000, "{} bytes", html.len());
}

#[test]
fn a_hundred_thousand_decisions_are_thinned_and_the_page_says_so() {
    let mut page = Page::new("long", "");
    let timeline = timeline(100_000);
    assert_eq!(timeline.largest("age"), Some((6, 6.0)));
    page.say([Finding::new(Weight::Look, "this one").at(77_777)]);
    page.show(timeline);
    let html = page.to_html();
    check(&html);
    assert!(html.len() < 12_000_000, "{} bytes", html.len());
    assert!(html.contains("of 100000 decisions, so that the page stays small: every 50th"));
    assert!(html.contains("Pictures of every 512th moment"));
    assert!(html.contains("<tr id=\"m77777\""), "what the words lead to is there");
}

#[test]
fn a_page_of_nothing_and_of_no_numbers_stands() {
    let mut page = Page::new("nothing", "");
    page.show(timeline(0));
    check(&page.to_html());

    let mut page = Page::new("holes", "");
    let quantities = vec![Quantity::chosen("a", "", Some((0.0, 1.0))), Quantity::measured("b", "s")];
    let mut timeline = Timeline::new("decision", "s", quantities);
    for (at, a, b) in
        [(0.0, 0.5, f64::NAN), (1.0, f64::NAN, f64::NAN), (2.0, f64::INFINITY, f64::NAN), (3.0, 0.25, f64::NAN)]
    {
        timeline.push(at, vec![a, b], "");
    }
    let found = timeline.observations();
    assert_eq!(found[0].text(), "a has no number in 2 of 4 decisions.");
    page.show(timeline);
    let html = page.to_html();
    check(&html);
    assert!(html.contains("d=\"M0 500M1000 750\""), "a gap where there is no number");
    assert!(html.contains("4 without a number") && html.matches("<svg").count() == 1, "no empty plot");
}

/// What a browser makes of a page that is opened at a place: the document after its script has run, and what it said.
fn browsed(page: &Path, place: &str, width: u32) -> Option<(String, String)> {
    let profile = tempfile::tempdir().unwrap();
    let output = ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|browser| {
        Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
            .args(["--enable-logging=stderr", "--virtual-time-budget=2000", "--host-resolver-rules=MAP * ~NOTFOUND"])
            .arg(format!("--window-size={width},900"))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("file://{}{place}", page.display()))
            .output()
            .ok()
    })?;
    Some((String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
fn in_a_browser_the_cursor_moves_picture_values_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    let mut page = Page::new("drive", "");
    page.show(timeline(40));
    std::fs::write(&path, page.to_html()).unwrap();
    for (place, moment, value) in [("", 0, "1 m/s"), ("#m27", 27, "1.214 m/s"), ("#f39", 39, "0.6561 m/s")] {
        for width in [390, 1360] {
            let Some((document, said)) = browsed(&path, place, width) else {
                return say("skipped: there is no Chromium here");
            };
            assert!(!said.contains("CONSOLE"), "{said}");
            let row = document.find("class=\"chosen\" id=\"m").or(document.find(&format!("<tr id=\"m{moment}\"")));
            let row = &document[row.expect("a row")..][..80];
            assert!(row.contains(&format!("id=\"m{moment}\"")) && row.contains("chosen"), "{place}: {row}");
            assert!(document.contains(&format!("<output>{value}</output>")), "{place}: not {value}");
            assert!(document.contains(&format!("decision {moment}, ")), "{place}");
            let of = |from: &str| document.split(from).nth(1).unwrap().split("src=\"").nth(1).unwrap()[..60].to_owned();
            assert_eq!(of("class=\"stage\""), of(&format!("id=\"f{moment}\"")), "{place}: the picture follows");
        }
    }
}
