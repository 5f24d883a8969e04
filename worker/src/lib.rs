//! openclawmu-worker
