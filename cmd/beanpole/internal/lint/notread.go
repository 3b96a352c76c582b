package lint

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	yamltoken "github.com/goccy/go-yaml/token"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

// What lint reads has bounds, as nobody knows who wrote it. What is beyond them is said, and never taken for empty.

const notReadFix = "make it smaller, or look at it yourself"

// notRead says of a file that it was not read. Nothing else is said of it then: to the checks it is empty.
func (m *model) notRead(name string, err error) {
	if m.unread == nil {
		m.unread = make(map[string]bool)
	}
	m.unread[name] = true
	m.add(Finding{Check: "not-read", Severity: Warning, File: name, What: "lint has not read it: " + err.Error(),
		Why: "what is wrong in it is not among the findings", Fix: notReadFix})
}

// checkRead looks for files that the platform takes and lint does not.
func (m *model) checkRead() {
	if m.bundle.unread != nil {
		m.notRead("", fmt.Errorf("of the last commit, which is shipped: %w; the folder was read instead", m.bundle.unread))
	}
	if deep := m.bundle.deep; len(deep) > 0 { // one of all
		m.notRead(deep[0]+"/", foreign.ErrTooDeep)
	}
	for name, err := range m.bundle.eb.unread {
		m.notRead(name, reason(err))
	}
	for _, name := range m.bundle.ordered() {
		ofPlatform := strings.HasPrefix(name, overlayDir) || path.Dir(name) == ".ebextensions" && path.Ext(name) == ".config"
		switch name {
		case "Procfile", "Buildfile", "Dockerfile", "Dockerrun.aws.json":
			ofPlatform = true
		}
		f := m.bundle.Files[name]
		program := path.Dir(name) == "bin" || name == "application" || strings.HasPrefix(name, ".platform/hooks/") || strings.HasPrefix(name, ".platform/confighooks/")
		var err error
		if ofPlatform {
			_, err = m.bundle.read(name)
		}
		switch {
		case f.planned, errors.Is(err, errTogether): // checkTogether says it of all
		case err != nil:
			m.notRead(name, reason(err))
		case program && !f.Mode.IsRegular():
			m.notRead(name, foreign.ErrNoFile)
		}
	}
}

// ofUnread reports whether a finding comes of a file that was not read.
func (m *model) ofUnread(f Finding) bool {
	return f.Check != "not-read" && f.File != "" && m.unread[f.File]
}

// reason is an error without the name of what it is about.
func reason(err error) error {
	for _, known := range []error{foreign.ErrTooLarge, foreign.ErrNoFile} {
		if errors.Is(err, known) {
			return known
		}
	}
	return err
}

// Bounds of one YAML file. The parser takes time and memory with the square of both.
const (
	maxIndicators = 100_000 // letters that mean something
	maxTokens     = 20_000  // without comments
	maxAllTokens  = 100_000 // of all .config files
	maxNested     = 100     // one in the other on a line, or between brackets
)

var errInvolved = errors.New("it has more in it than lint reads: too many keys, or one in the other")

var errMany = errors.New("the .config files before it have as much in them as lint reads")

// parseYAML is the one way to read YAML. left, if not nil, is how many tokens there may be in this file and in those that are read
// after it: what was looked at is taken off, whether it is read or not.
func parseYAML(text []byte, left *int) (*ast.File, error) {
	if left == nil {
		left = new(int)
		*left = maxTokens
	}
	indicators := 0
	for _, c := range text {
		if strings.IndexByte("[]{},:?-&*!", c) >= 0 {
			indicators++
		}
	}
	if indicators > maxIndicators {
		return nil, errInvolved
	}
	tokens := lexer.Tokenize(string(text))
	brackets, line, nested, most := 0, 0, 0, *left-maxTokens
	for _, t := range tokens {
		if t.Position.Line != line {
			line, nested = t.Position.Line, 0
		}
		switch t.Type {
		case yamltoken.CommentType:
			continue
		case yamltoken.SequenceStartType, yamltoken.MappingStartType:
			brackets++
		case yamltoken.SequenceEndType, yamltoken.MappingEndType:
			brackets--
		case yamltoken.SequenceEntryType, yamltoken.MappingKeyType, yamltoken.AnchorType, yamltoken.TagType:
			nested++
		}
		switch *left--; {
		case *left < most || brackets > maxNested || nested > maxNested:
			*left = most // to take it apart has cost as much as one that is read
			return nil, errInvolved
		case *left < 0:
			return nil, errMany
		}
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}
