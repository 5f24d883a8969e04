//! The counterparts of the channels, each held against its vendor's own library before anything of
//! ours is held against it. `make networks` installs what that needs.

mod discord;
mod ircd;
mod matrix;
mod slack;
mod vectors;
