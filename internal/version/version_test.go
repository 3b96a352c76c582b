package version

import (
	"os"
	"regexp"
	"runtime/debug"
	"testing"
)

func TestVersionHasTheRevision(t *testing.T) {
	for want, settings := range map[string][]debug.BuildSetting{
		Number:                               nil,
		Number + " (0123456789ab)":           {{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "false"}},
		Number + " (0123456789ab, modified)": {{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}},
		Number + " (0123)":                   {{Key: "vcs.revision", Value: "0123"}},
	} {
		if got := of(settings, ""); got != want {
			t.Errorf("of(%v) = %q, want %q", settings, got, want)
		}
	}
	if got, want := of(nil, "0123456789ab"), Number+" (0123456789ab)"; got != want {
		t.Errorf("a release says %q, want %q", got, want)
	}
}

// The newest version of the changelog is the one that programs say they are.
func TestVersionIsTheChangelogs(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^## \[([0-9][^\]]*)\]`).FindSubmatch(text)
	if m == nil || string(m[1]) != Number {
		t.Errorf("the newest version of CHANGELOG.md is %s, and this is %s", m, Number)
	}
}
