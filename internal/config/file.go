package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const maxConfigFile = 64 << 10

func (s *sources) readFile(path string, values map[string]any) error {
	if path == "" {
		return nil
	}
	text, err := readBounded(path, maxConfigFile)
	if err != nil {
		return fmt.Errorf("read the config file: %w", err)
	}
	body, err := parseYAML(text)
	if err != nil {
		return fmt.Errorf("%s:%w", path, err)
	}
	f := &configFile{path: path, settings: s.settings, values: values}
	f.block("", body)
	return errors.Join(f.errs...)
}

// parseYAML returns the only document of a file. Its errors start with the line and do not quote the text, which may
// contain secrets.
func parseYAML(text []byte) (ast.Node, error) {
	// Without the newline the parser drops the last letter of a block scalar's header.
	file, err := parser.ParseBytes(append(text, '\n'), 0)
	if syntax, ok := errors.AsType[yaml.Error](err); ok {
		return nil, fmt.Errorf("%d: %s", lineOf(syntax.GetToken()), unquoted(syntax.GetMessage()))
	}
	if err != nil {
		return nil, errors.New("1: this is not YAML")
	}
	switch len(file.Docs) {
	case 0:
		return nil, nil
	case 1:
		return file.Docs[0].Body, nil
	}
	return nil, fmt.Errorf("%d: a config file is one document", lineOf(file.Docs[1].Start))
}

func lineOf(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 1
	}
	return t.Position.Line
}

// unquoted removes quoted values from an error of the YAML parser.
func unquoted(message string) string {
	from, to := strings.Index(message, `"`), strings.LastIndex(message, `"`)
	if from == to || strings.HasPrefix(message, "mapping key ") {
		return message
	}
	return message[:from] + "…" + message[to+1:]
}

type configFile struct {
	path     string
	settings []setting
	values   map[string]any
	errs     []error
}

func (f *configFile) wrong(node ast.Node, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%s:%d: %s", f.path, lineOf(node.GetToken()), fmt.Sprintf(format, args...)))
}

// block reads the keys of an area. A block without keys is null.
func (f *configFile) block(area string, node ast.Node) {
	switch node := node.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
	case *ast.MappingNode:
		for _, pair := range node.Values {
			f.pair(area, pair)
		}
	case *ast.MappingValueNode:
		f.pair(area, node)
	default:
		if area == "" {
			f.wrong(node, "a config file consists of lines such as addr: 127.0.0.1:8080")
			return
		}
		f.wrong(node, "%s is a block of settings and takes no value", strings.TrimSuffix(area, "."))
	}
}

func (f *configFile) pair(area string, pair *ast.MappingValueNode) {
	path := area + pair.Key.GetToken().Value
	for _, setting := range f.settings {
		if setting.path == path {
			f.set(setting, pair.Value)
			return
		}
		if strings.HasPrefix(setting.path, path+".") {
			f.block(path+".", pair.Value)
			return
		}
	}
	hint := suggestion(path, f.known())
	if hint == "" {
		hint = ": `sluice config doc` lists all settings"
	}
	f.wrong(pair.Key, "unknown key %s%s", path, hint)
}

func (f *configFile) known() []string {
	var paths []string
	for _, setting := range f.settings {
		paths = append(paths, setting.path)
		area := setting.path
		for at := strings.LastIndex(area, "."); at > 0; at = strings.LastIndex(area, ".") {
			area = area[:at]
			paths = append(paths, area)
		}
	}
	return paths
}

func (f *configFile) set(setting setting, node ast.Node) {
	value, err := valueOf(node, setting.list())
	if err == nil {
		_, err = setting.decode(value)
	}
	if err != nil {
		f.wrong(node, "%s: %v", setting.path, err)
		return
	}
	if _, twice := f.values[setting.flag()]; twice {
		f.wrong(node, "%s is set twice", setting.path)
	}
	f.values[setting.flag()] = value
}

func valueOf(node ast.Node, list bool) (any, error) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		return scalarOf(node)
	}
	if !list {
		return nil, errors.New("this setting takes one value, not a list")
	}
	values := []any{}
	for _, item := range sequence.Values {
		value, err := scalarOf(item)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

func scalarOf(node ast.Node) (string, error) {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value, nil
	case *ast.LiteralNode:
		return strings.TrimRight(node.Value.Value, "\n"), nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, nil
	case nil, *ast.NullNode:
		return "", errors.New("the value is missing: add it, or remove the line for the default")
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return "", errors.New("anchors, aliases and tags are not read in a config file")
	}
	return "", errors.New("this setting takes a value, not a block")
}
