//! openclawmu
