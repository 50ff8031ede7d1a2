//! The same road, from a recording: bags and folders of images.
