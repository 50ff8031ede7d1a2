//! Reads transition logs, cut off or not: `cargo run --release --example read_log -- logs/`.
#![allow(clippy::print_stdout)]

use vlm_planner_tuner::transition::logs_in;

fn main() -> anyhow::Result<()> {
    let Some(folder) = std::env::args().nth(1) else {
        anyhow::bail!("name a folder of logs; `planner_tuner replay --demo --log logs/` makes one");
    };
    let logs = logs_in(&folder)?;
    for files in &logs.episodes {
        let episode = files.read()?;
        let reward: f32 = episode.steps.iter().map(|step| step.reward).sum();
        println!("{}: {} steps, reward {reward:.2}", episode.session.episode, episode.steps.len());
        for step in episode.steps.iter().take(3) {
            println!("  {:8.3} s: {:?} -> {:?}", step.stamp.seconds(), step.explored.values(), step.ending);
        }
    }
    for (path, why) in &logs.refused {
        println!("{}: {why}", path.display());
    }
    Ok(())
}
