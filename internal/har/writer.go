package har

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"
)

// ending closes the file behind its last entry.
const ending = "\n]}}\n"

// ErrFull says that a recording has reached its largest size.
var ErrFull = errors.New("the recording is full")

// Writer adds entries to a file, which is a whole HAR after each of them. It is
// for one goroutine.
type Writer struct {
	file *os.File
	end  int64 // where the next entry goes: the ending begins there
	most int64
	some bool // there are entries already
}

// Create makes the file, for its owner alone to read, or goes on with the one
// that is there, if a Writer has made it. most bounds it, in bytes; zero stands
// for MaxFile, which is also the most that Read takes.
func Create(path string, most int64, creator Creator, basePath string) (*Writer, error) {
	if most <= 0 || most > MaxFile {
		most = MaxFile
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	w := &Writer{file: file, most: most}
	if err := w.begin(creator, basePath); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return w, nil
}

func (w *Writer) begin(creator Creator, basePath string) error {
	info, err := w.file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("is no regular file")
	case info.Size() > 0:
		if err := w.resume(info.Size()); err != nil {
			return err
		}
		return w.file.Chmod(0o600)
	}
	head, err := json.Marshal(struct {
		Version  string  `json:"version"`
		Creator  Creator `json:"creator"`
		BasePath string  `json:"_basePath,omitempty"`
	}{"1.2", creator, basePath})
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`{"log":%s,"entries":[`, head[:len(head)-1])
	w.end = int64(len(text))
	_, err = w.file.WriteAt([]byte(text+ending), 0)
	return err
}

// resume finds the end of a file that a Writer has left.
func (w *Writer) resume(size int64) error {
	tail := make([]byte, min(size, int64(len(ending)+1)))
	if _, err := w.file.ReadAt(tail, size-int64(len(tail))); err != nil {
		return err
	}
	last, found := bytes.CutSuffix(tail, []byte(ending))
	if !found {
		return errors.New("is there already, and is no recording that could be gone on with")
	}
	w.end, w.some = size-int64(len(ending)), string(last) != "["
	return nil
}

// Add appends an entry, in one write. It answers ErrFull where there is no room
// for it.
func (w *Writer) Add(e Entry) error {
	var text bytes.Buffer
	if w.some {
		text.WriteByte(',')
	}
	text.WriteByte('\n')
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(documentOf(e)); err != nil {
		return err
	}
	text.Truncate(text.Len() - 1) // the encoder's newline; the ending has one
	size := int64(text.Len())
	if w.end+size+int64(len(ending)) > w.most {
		return ErrFull
	}
	text.WriteString(ending)
	if _, err := w.file.WriteAt(text.Bytes(), w.end); err != nil {
		// Half an entry may stand there now, as on a full disk.
		_, undone := w.file.WriteAt([]byte(ending), w.end)
		return errors.Join(err, undone, w.file.Truncate(w.end+int64(len(ending))))
	}
	w.end, w.some = w.end+size, true
	return nil
}

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }

func documentOf(e Entry) document {
	took := float64(e.Took.Microseconds()) / 1000
	d := document{
		Started: e.Started.UTC().Format("2006-01-02T15:04:05.000000Z"), Time: took, Timings: timings{Wait: took}, User: e.User, Own: e.Own,
		Request: &request{
			Method: e.Request.Method, URL: e.Request.URL.String(), HTTPVersion: "HTTP/1.1", Cookies: []nameValue{},
			Headers: listOf(e.Request.Header), Query: queryOf(e.Request.URL.RawQuery), HeadersSize: -1, BodySize: int64(len(e.Request.Body)),
		},
		Response: &response{
			Status: e.Response.Status, StatusText: http.StatusText(e.Response.Status), HTTPVersion: "HTTP/1.1", Cookies: []nameValue{},
			Headers: listOf(e.Response.Header), RedirectURL: e.Response.Header.Get("Location"), HeadersSize: -1, BodySize: -1,
		},
	}
	if len(e.Request.Body) > 0 || e.Request.Omitted != "" {
		text, encoding := textOf(e.Request.Body, e.Request.Header)
		d.Request.PostData = &postData{MimeType: e.Request.Header.Get("Content-Type"), Text: text, Encoding: encoding, Omitted: e.Request.Omitted}
	}
	c := &content{Size: int64(len(e.Response.Body)), MimeType: e.Response.Header.Get("Content-Type"), Omitted: e.Response.Omitted}
	if text, encoding := textOf(e.Response.Body, e.Response.Header); text != "" {
		c.Text, c.Encoding = &text, encoding
	}
	if e.Response.Omitted != "" {
		c.Size = e.Response.Size
	}
	d.Response.Content = c
	return d
}

// textOf answers a body as the format has it. One that is still coded is no
// text, even where its bytes happen to look like it.
func textOf(body []byte, h http.Header) (text, encoding string) {
	if utf8.Valid(body) && h.Get("Content-Encoding") == "" {
		return string(body), ""
	}
	return base64.StdEncoding.EncodeToString(body), "base64"
}

func listOf(h http.Header) []nameValue {
	list := []nameValue{}
	for name, values := range h {
		for _, value := range values {
			list = append(list, nameValue{name, value})
		}
	}
	return list
}

func queryOf(raw string) []nameValue {
	list := []nameValue{}
	for pair := range strings.SplitSeq(raw, "&") {
		if name, value, _ := strings.Cut(pair, "="); name != "" {
			list = append(list, nameValue{name, value})
		}
	}
	return list
}
