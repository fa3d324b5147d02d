//! What the wire promises: the golden vectors, the laws that hold for any bytes, the overhead, the
//! specification's own examples, and the dissector as a second reader of the same bytes.

mod contents;
mod dissector;
mod golden;
mod hostile;
mod material;
mod overhead;
mod pcap;
mod properties;
mod specification;
mod vectors;
