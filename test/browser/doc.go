// Package browser tests the pages of the examples in headless Chromium: the tests are in *.test.mjs, one
// file an example, and browser_test.go runs them with everything else that go test runs. Beside them,
// origins.html tries on a server what a page of another site can try.
package browser
