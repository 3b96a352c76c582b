package lint

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// setting is one option that a file sets.
type setting struct {
	namespace, option, value string
	file                     string
	line                     int
}

// where returns file:line, or where the option would belong when nobody sets it.
func (s setting) where() string {
	if s.line == 0 {
		return "not set"
	}
	return fmt.Sprintf("%s:%d", s.file, s.line)
}

// config is one parsed .config file.
type config struct {
	name     string
	root     ast.Node
	commands []command
	// resources by logical name.
	resources map[string]resource
}

// command is one of commands or container_commands.
type command struct {
	test, command string
	from, to      int // lines
}

// resource is one of Resources.
type resource struct {
	kind string
	line int
	node ast.Node
}

// sections are the keys a .config file may have at the top. Source: ebextensions.
var sections = map[string]bool{
	"option_settings": true, "Resources": true, "packages": true, "groups": true, "users": true, "sources": true, "files": true,
	"commands": true, "services": true, "container_commands": true, "Outputs": true, "Parameters": true, "Mappings": true,
	"Conditions": true, "Metadata": true, "Description": true, "AWSTemplateFormatVersion": true, "Transform": true, "Rules": true,
}

// readSettings parses all .config files.
func (m *model) readSettings() {
	left := maxAllTokens
	var more []string // that are not read
	for _, name := range m.bundle.under(".ebextensions") {
		if strings.Count(name, "/") > 1 || path.Ext(name) != ".config" {
			if ext := path.Ext(name); ext == ".yml" || ext == ".yaml" || ext == ".json" || ext == ".conf" || strings.EqualFold(ext, ".config") {
				m.add(Finding{Check: "config-suffix", Severity: Error, File: name, What: "the file is not read",
					Why: "only files directly in .ebextensions whose names end with .config are", Fix: "rename it to .ebextensions/NAME.config"})
			}
			continue
		}
		if left > 0 {
			m.readConfig(name, unixText(m.bundle.text(name)), &left)
			continue
		}
		more = append(more, name)
	}
	m.notReadAll(more, errMany)
}

func (m *model) readConfig(name string, text []byte, left *int) {
	file, err := parseYAML(text, left)
	if errors.Is(err, errInvolved) || errors.Is(err, errMany) {
		m.notRead(name, err)
		return
	}
	if err != nil {
		n := 0
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.GetToken() != nil {
			n = syntax.GetToken().Position.Line
		}
		what := err.Error()
		if syntax != nil {
			what = syntax.GetMessage()
		}
		m.add(Finding{Check: "yaml", Severity: Error, File: name, Line: n, What: what,
			Why: "the environment refuses the version", Fix: "mend the YAML; indent with spaces"})
		return
	}
	c := config{name: name, resources: make(map[string]resource)}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		m.duplicates(name, doc.Body)
		for _, kv := range pairs(doc.Body) {
			key := scalar(kv.Key)
			if !sections[key] {
				m.add(Finding{Check: "config-section", Severity: Error, File: name, Line: lineOf(kv.Key), What: fmt.Sprintf("%q is no section of a .config file", key),
					Why: "what stands in it has no effect", Fix: didYouMean(key, keys(sections))})
			}
			switch key {
			case "option_settings":
				m.readOptions(name, kv.Value)
			case "commands", "container_commands":
				for _, cmd := range pairs(kv.Value) {
					c.commands = append(c.commands, readCommand(cmd))
				}
			case "Resources":
				for _, r := range pairs(kv.Value) {
					kind, _ := find(r.Value, "Type")
					c.resources[scalar(r.Key)] = resource{scalar(kind), lineOf(r.Key), r.Value}
				}
			}
		}
		c.root = doc.Body
	}
	m.configs = append(m.configs, c)
}

// readOptions takes both forms of option_settings.
func (m *model) readOptions(name string, node ast.Node) {
	if list, ok := node.(*ast.SequenceNode); ok {
		for _, item := range list.Values {
			s := setting{namespace: nsProperties, file: name, line: lineOf(item)}
			for _, kv := range pairs(item) {
				switch scalar(kv.Key) {
				case "namespace":
					s.namespace = scalar(kv.Value)
				case "option_name":
					s.option, s.line = scalar(kv.Value), lineOf(kv.Value)
				case "value":
					s.value = scalar(kv.Value)
				case "resource_name": // of exported settings
				default:
					m.add(Finding{Check: "config-option", Severity: Error, File: name, Line: lineOf(kv.Key), What: scalar(kv.Key) + " is no key of an option",
						Why: "the option is not set as it is meant", Fix: didYouMean(scalar(kv.Key), []string{"namespace", "option_name", "value"})})
				}
			}
			m.settings = append(m.settings, s)
		}
		return
	}
	for _, ns := range pairs(node) {
		namespace := scalar(ns.Key)
		options := pairs(ns.Value)
		if options == nil && ns.Value != nil && ns.Value.Type() != ast.NullType && ns.Value.Type() != ast.MappingType {
			m.add(Finding{Check: "config-option", Severity: Error, File: name, Line: lineOf(ns.Key), What: namespace + " has no options",
				Why: "the file is refused", Fix: "write `option: value` lines below it, indented"})
		}
		for _, kv := range options {
			if _, list := kv.Value.(*ast.SequenceNode); list || len(pairs(kv.Value)) > 0 && !function(kv.Value) {
				m.add(Finding{Check: "config-option", Severity: Error, File: name, Line: lineOf(kv.Key), What: scalar(kv.Key) + " is a list or has options of its own",
					Why: "the value of an option is a text: the file is refused", Fix: "write a list as one,two; a function between backticks"})
				continue
			}
			m.settings = append(m.settings, setting{namespace, scalar(kv.Key), scalar(kv.Value), name, lineOf(kv.Key)})
		}
	}
}

// function reports whether a mapping is one of CloudFormation's.
func function(node ast.Node) bool {
	name := scalar(pairs(node)[0].Key)
	return name == "Ref" || strings.HasPrefix(name, "Fn::")
}

func readCommand(kv *ast.MappingValueNode) command {
	c := command{from: lineOf(kv.Key)}
	c.to = c.from
	for _, part := range pairs(kv.Value) {
		text := scalar(part.Value)
		if list, ok := part.Value.(*ast.SequenceNode); ok {
			text = list.String()
		}
		switch scalar(part.Key) {
		case "test":
			c.test = text
		case "command":
			c.command = text
		}
		c.to = max(c.to, lineOf(part.Key)+1+strings.Count(text, "\n"))
	}
	return c
}

// duplicates reports keys that a mapping has twice.
func (m *model) duplicates(name string, node ast.Node) {
	seen := make(map[string]int)
	for _, kv := range pairs(node) {
		key := scalar(kv.Key)
		if first, ok := seen[key]; ok && key != "<<" {
			m.add(Finding{Check: "duplicate-key", Severity: Error, File: name, Line: lineOf(kv.Key),
				What: fmt.Sprintf("%q stands at line %d already", key, first), Why: "one of the two is dropped without a word",
				Fix: "put what belongs to it under one key"})
		}
		seen[key] = lineOf(kv.Key)
		m.duplicates(name, kv.Value)
	}
	if list, ok := node.(*ast.SequenceNode); ok {
		for _, item := range list.Values {
			m.duplicates(name, item)
		}
	}
}

// pairs returns the entries of a mapping, or nil.
func pairs(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	case *ast.AnchorNode:
		return pairs(n.Value)
	case *ast.TagNode:
		return pairs(n.Value)
	}
	return nil
}

// find returns the value of a key.
func find(node ast.Node, key string) (ast.Node, bool) {
	for _, kv := range pairs(node) {
		if scalar(kv.Key) == key {
			return kv.Value, true
		}
	}
	return nil, false
}

// textAt returns the scalar that a path of keys leads to, or "".
func textAt(node ast.Node, path ...string) string {
	for _, key := range path {
		node, _ = find(node, key)
	}
	return scalar(node)
}

// scalar returns a scalar as the text that stands there.
func scalar(node ast.Node) string {
	switch n := node.(type) {
	case nil:
		return ""
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	case *ast.NullNode:
		return ""
	case *ast.AnchorNode:
		return scalar(n.Value)
	case *ast.TagNode:
		return scalar(n.Value)
	case *ast.MappingNode, *ast.SequenceNode, *ast.MappingValueNode:
		return ""
	case ast.ScalarNode:
		return n.GetToken().Value
	}
	return node.String()
}

func lineOf(node ast.Node) int {
	if node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
		return 0
	}
	return node.GetToken().Position.Line
}
