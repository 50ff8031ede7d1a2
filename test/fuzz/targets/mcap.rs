#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vlm_planner_tuner_fuzz::mcap(data));
