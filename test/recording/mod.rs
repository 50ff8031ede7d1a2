//! Bags, folders of images, and the costmap pictures drawn from them.

mod bag_forms;
mod broken;
mod clocks;
mod damage;
mod demo_drive;
mod drawn;
mod pictures;
mod reading;
mod recorders_folders;
mod render_scenes;
mod reported;
mod scene;
