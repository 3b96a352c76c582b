// Package browser tests the chat's page in headless Chromium: the tests are in chat.test.mjs, and
// browser_test.go runs them with everything else that go test runs.
package browser
