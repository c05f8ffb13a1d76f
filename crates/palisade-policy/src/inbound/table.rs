//! The names that no client may send, in normal form. `*` stands for any end.

/// Why names are in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The gateway's own word to the application.
    Ours,
    /// What other gateways call the user.
    Identity,
    /// Where a request came from and what it was for. Read at the edge, from trusted peers only,
    /// and written anew.
    Forwarding,
    /// Another method than the request line's: limits and access rules would judge the wrong one.
    MethodOverride,
    /// What parts of Next.js tell each other.
    NextInternals,
    /// Next.js calls the middleware's answers by these names; from outside they skip middleware.
    NextMiddleware,
    /// Next.js takes its script nonce from these, so a client could choose it.
    Nonce,
}

impl Group {
    /// Whether `[headers.inbound] keep` may let a name of this group through.
    pub const fn may_be_kept(self) -> bool {
        match self {
            Self::Ours | Self::NextMiddleware | Self::Nonce => false,
            Self::Identity | Self::Forwarding | Self::MethodOverride | Self::NextInternals => true,
        }
    }
}

/// The table.
pub const TABLE: &[(Group, &[&str])] = &[
    (Group::Ours, &["palisade-*", "x-palisade-*"]),
    (
        // `x-forwarded-user` and its like are among the forwarding names.
        Group::Identity,
        &["x-auth-request-*", "x-authenticated-*", "remote-user", "remote-email", "remote-groups", "remote-name"],
    ),
    (
        Group::Forwarding,
        &[
            // Programs take it for the variable HTTP_PROXY (CVE-2016-5385).
            "proxy",
            "forwarded",
            "x-forwarded-*",
            "x-real-ip",
            "x-client-ip",
            "true-client-ip",
            "cf-connecting-ip",
            "x-cluster-client-ip",
            "x-original-url",
            "x-original-host",
            "x-rewrite-url",
            "x-host",
            "x-scheme",
            "front-end-https",
        ],
    ),
    (Group::MethodOverride, &["x-http-method-override", "x-http-method", "x-method-override"]),
    (Group::NextMiddleware, &["x-middleware-*"]),
    (
        Group::NextInternals,
        &[
            "x-nextjs-data",
            "x-now-route-matches",
            "x-matched-path",
            "x-next-resume-state-length",
            "next-resume",
            "x-invoke-*",
            "x-isr",
            "x-prerender-revalidate",
            "x-prerender-revalidate-if-generated",
            "x-next-revalidate-tag-token",
            "x-next-revalidated-tags",
            "x-next-cache-tags",
        ],
    ),
    (Group::Nonce, &["content-security-policy", "content-security-policy-report-only", "x-nonce"]),
];
