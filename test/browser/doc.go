// Package browser tests the pages of the examples, and those that the command makes, in headless Chromium: the tests are in
// *.test.mjs, one file an example, pages.test.mjs has what holds for all, and browser_test.go runs them with everything else that go test runs. Beside them,
// origins.html tries on a server what a page of another site can try.
package browser
