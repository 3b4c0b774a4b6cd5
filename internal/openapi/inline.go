package openapi

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
)

// methods are those of a path item that a document may describe and that rules
// or this package look at.
var methods = []string{"get", "post", "put", "patch", "delete"}

// inlineOperations puts operations in their place that stand in files of their
// own. OpenAPI has references to whole path items only, but tools that bundle
// many files into one take them for single operations too, and so do people.
func (l *loading) inlineOperations(root map[string]any) error {
	paths, _ := root["paths"].(map[string]any)
	for written, item := range paths {
		item, _ := item.(map[string]any)
		for method, operation := range item {
			operation, _ := operation.(map[string]any)
			ref, _ := operation["$ref"].(string)
			if ref == "" || !slices.Contains(methods, method) {
				continue
			}
			found, err := l.operation(ref)
			if err != nil {
				return fmt.Errorf("paths: %s: %s: %w", written, method, err)
			}
			item[method] = found
		}
	}
	return nil
}

func (l *loading) operation(ref string) (any, error) {
	at, err := url.Parse(ref)
	if err != nil || at.Path == "" || at.Fragment != "" {
		return nil, fmt.Errorf("expected an operation, or a file that holds one, found a reference to %q", ref)
	}
	if l.folder == nil || at.Scheme != "" || at.Host != "" {
		_, err := l.referred(nil, at)
		return nil, err
	}
	plain, err := l.plainFile(at.Path)
	if err != nil {
		return nil, err
	}
	operation, ok := plain.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: expected an operation, found %s", at.Path, kindOf(plain))
	}
	rebase(operation, at.Path)
	return operation, nil
}

// rebase makes the references of what stood in a file mean the same elsewhere.
func rebase(value any, file string) {
	switch value := value.(type) {
	case []any:
		for _, below := range value {
			rebase(below, file)
		}
	case map[string]any:
		for key, below := range value {
			ref, text := below.(string)
			switch {
			case key != "$ref" || !text:
				rebase(below, file)
			case strings.HasPrefix(ref, "#"):
				value[key] = file + ref
			case !strings.Contains(ref, "://") && !strings.HasPrefix(ref, "/"):
				value[key] = path.Join(path.Dir(file), ref)
			}
		}
	}
}
