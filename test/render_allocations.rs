//! Nothing of a picture's size is allocated once the first picture has been drawn.
//!
//! A binary of its own with a single test: the allocator counts for the whole process.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use nalgebra::{Isometry2, Point2, Vector2};
use vlm_planner_tuner::frame::render::{LaserScan, Renderer, Scene};

/// Half of a picture.
const LARGE: usize = Renderer::RGB_LEN / 2;

static LARGE_ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts what is large.
struct Counting;

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGE_ALLOCATIONS.fetch_add(usize::from(layout.size() >= LARGE), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_buffer_is_drawn_on_again_and_again() {
    let renderer = Renderer::new();
    let scan =
        LaserScan { angle_min: -2.0, angle_increment: 0.005, range_min: 0.1, range_max: 30.0, ranges: vec![1.5; 720] };
    let path: Vec<_> = (0..200).map(|point| Point2::new(f64::from(point) * 0.02, 0.3)).collect();
    let before = LARGE_ALLOCATIONS.load(Ordering::Relaxed);
    let mut buffer = Vec::new();
    let mut after_the_first = 0;
    for turn in 0..50 {
        let robot = Isometry2::new(Vector2::new(f64::from(turn) * 0.01, 0.0), 0.1);
        let scene = Scene { scan: scan.clone(), laser_mount: None, robot, path: path.clone() };
        let (frame, _) = renderer.draw_reusing(buffer, &scene).unwrap();
        buffer = frame.into_rgb();
        if turn == 0 {
            after_the_first = LARGE_ALLOCATIONS.load(Ordering::Relaxed);
        }
    }
    let scene = Scene { scan, laser_mount: None, robot: Isometry2::identity(), path };
    renderer.draw_into(&scene, &mut buffer).unwrap();
    assert!(after_the_first > before, "the counter counts");
    assert_eq!(LARGE_ALLOCATIONS.load(Ordering::Relaxed), after_the_first);
}
