// Package look is what the pages of the examples share: colours, the bar at the top with the state of
// the connection, forms, the icon, and loading the client.
//
//   - look.go: Page, the files of one example together with the shared ones
//   - parts/head.html, parts/status.html: what the index.html of each page includes: the policy for
//     scripts, icon and colours; the state of the connection
//   - web/look.css: colours for light and dark, the bar, cards, buttons
//   - web/look.js: elements, colours for a canvas, the connection and how it is shown
//
// # Decisions
//
//   - 2026-11: pages are plain modules without a build, so that what the browser gets is what one reads.
//   - 2026-11: but for two includes: the policy and the bar stood in six pages, to be changed in each.
package look
