/** @type {import("next").NextConfig} */
export default {
  // The build must not look outside this folder for a workspace root.
  turbopack: { root: import.meta.dirname },
};
