//! Bags, folders of images, and the costmap pictures drawn from them.

mod broken;
mod damage;
mod demo_drive;
mod drawn;
mod pictures;
mod reading;
mod render_scenes;
mod reported;
mod scene;
