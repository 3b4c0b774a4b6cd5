// Package openapi writes the rules that an API's OpenAPI document suggests:
//
//	spec.yaml ──Load──► Document ──Rules──► rules.yaml, with the reason above each rule
//
// It reads OpenAPI 3.0 to 3.2 and Swagger 2, from files only: nothing is fetched.
package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
)

// Bounds of a document. The largest that are published whole have some 15 MB.
const (
	maxFile  = 32 << 20 // bytes of one file
	maxFiles = 64 << 20 // bytes of all files that it consists of
)

// Document is an API as its OpenAPI document describes it.
type Document struct {
	spec *openapi3.T
}

// Load reads a document. What it refers to must lie in the file's own folder or
// below; a reference to anywhere else is an error, as is one to nothing. Errors
// name the file.
func Load(name string) (*Document, error) {
	file, err := os.Open(name) // which may be a link to anywhere: the user has named it
	if err != nil {
		return nil, err
	}
	defer file.Close()
	folder, err := os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	l := &loading{folder: folder, left: maxFiles}
	source, err := l.bounded(name, file)
	if err != nil {
		return nil, err
	}
	return l.document(name, source)
}

// Read reads a document that refers to no other file.
func Read(name string, from io.Reader) (*Document, error) {
	l := &loading{left: maxFiles}
	source, err := l.bounded(name, from)
	if err != nil {
		return nil, err
	}
	return l.document(name, source)
}

// loading reads one document with all that it refers to.
type loading struct {
	folder *os.Root          // nil: there are no other files
	left   int64             // bytes that may still be read
	read   map[string][]byte // other files, encoded, by their path: many refer to the same
}

func (l *loading) document(name string, source []byte) (*Document, error) {
	plain, err := slimmed(source, false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	root, ok := plain.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: expected an OpenAPI document, a map with the key openapi or swagger, found %s", name, kindOf(plain))
	}
	info, _ := root["info"].(map[string]any)
	root["info"] = map[string]any{"title": textOf(info["title"]), "version": textOf(info["version"])}
	if err := l.inlineOperations(root); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	spec, err := l.spec(root, path.Base(filepath.ToSlash(name)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if spec.Paths.Len() == 0 {
		return nil, fmt.Errorf("%s: expected paths, found none", name)
	}
	return &Document{spec}, nil
}

// textOf answers a text, and of anything else nothing.
func textOf(value any) string {
	text, _ := value.(string)
	return text
}

// spec answers a document of any version as one of OpenAPI 3, its references
// resolved. A panic of the library is an error like any other.
func (l *loading) spec(root map[string]any, name string) (spec *openapi3.T, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			spec, err = nil, fmt.Errorf("not a document that can be read: %v", panicked)
		}
	}()
	key := "openapi"
	if root[key] == nil {
		key = "swagger"
	}
	version := root[key]
	written := fmt.Sprint(version) // a number, where the quotes are missing
	root[key] = written
	source, err := encode(root)
	if err != nil {
		return nil, err
	}
	loader := openapi3.NewLoader()
	loader.ReadFromURIFunc = l.referred
	at := &url.URL{Path: name}
	switch {
	case key == "openapi" && strings.HasPrefix(written, "3."):
		return loader.LoadFromDataWithPath(source, at)
	case key == "swagger" && (written == "2.0" || written == "2"):
		var old openapi2.T
		if err := json.Unmarshal(source, &old); err != nil {
			return nil, err
		}
		return openapi2conv.ToV3WithLoader(&old, loader, at)
	case version == nil:
		return nil, errors.New("expected an OpenAPI document, with openapi: 3.x or swagger: \"2.0\" in it; found neither")
	}
	return nil, fmt.Errorf("expected OpenAPI 3.x or Swagger 2.0, found version %.20q", written)
}

// referred reads another file for the library, which names it by its path from
// the document's folder.
func (l *loading) referred(_ *openapi3.Loader, at *url.URL) ([]byte, error) {
	if at.Scheme != "" || at.Host != "" {
		return nil, fmt.Errorf("expected references to files beside the document, found one to %s: nothing is fetched", at.Redacted())
	}
	if l.folder == nil {
		return nil, fmt.Errorf("expected a document without other files, found a reference to %s; name the document by its file", at.Path)
	}
	if encoded, known := l.read[at.Path]; known {
		return encoded, nil
	}
	plain, err := l.plainFile(at.Path)
	if err != nil {
		return nil, err
	}
	encoded, err := encode(plain)
	if l.read == nil {
		l.read = make(map[string][]byte)
	}
	l.read[at.Path] = encoded
	return encoded, err
}

// encode writes JSON on many lines: the library reads it as YAML, and takes
// very long over one long line.
func encode(plain any) ([]byte, error) { return json.MarshalIndent(plain, "", " ") }

// plainFile answers what another file of the document's folder says.
func (l *loading) plainFile(name string) (any, error) {
	source, err := l.file(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	plain, err := slimmed(source, true) // its keys may be anybody's names
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return plain, nil
}

func (l *loading) file(name string) ([]byte, error) {
	file, err := l.folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return l.bounded(name, file)
}

func (l *loading) bounded(name string, from io.Reader) ([]byte, error) {
	source, err := io.ReadAll(io.LimitReader(from, maxFile+1))
	switch l.left -= int64(len(source)); {
	case err != nil:
		return nil, err
	case len(source) > maxFile:
		return nil, fmt.Errorf("%s: expected at most %d MiB, found more", name, maxFile>>20)
	case l.left < 0:
		return nil, fmt.Errorf("%s: expected at most %d MiB in all files together, found more", name, maxFiles>>20)
	}
	return source, nil
}
