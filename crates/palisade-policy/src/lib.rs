//! Every protection of Palisade, one folder each.
