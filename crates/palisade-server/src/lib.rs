//! Assembly: listeners, TLS, snapshot, reload, drain.
