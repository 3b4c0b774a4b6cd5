package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hookproxy/hookproxy/internal/har"
	"github.com/hookproxy/hookproxy/internal/replay"
)

// tryCommand says which events recorded traffic would be, without sending
// anything anywhere.
type tryCommand struct {
	Rules    string `default:"rules.yaml" env:"HOOKPROXY_RULES" placeholder:"FILE" help:"The rules file."`
	HAR      string `name:"har" placeholder:"FILE" help:"Recorded traffic, HAR 1.2: of serve --record, a browser, Postman; - for standard input."`
	User     string `help:"Who sends every request, instead of whom the recording tells."`
	BasePath string `name:"base-path" placeholder:"PATH" help:"The upstream's base path, which is taken off recorded paths; the recording's own by default."`
	JSON     bool   `name:"json" help:"Print JSON, as --expect reads it."`
	Expect   string `placeholder:"FILE" help:"Compare with what --json printed once; exit 1 on a difference."`
	Update   bool   `help:"Write the file of --expect instead of comparing."`

	Request        string   `placeholder:"'POST /contacts'" help:"Try one exchange instead of a recording: method and path."`
	Header         []string `sep:"none" placeholder:"'NAME: VALUE'" help:"A header of its request."`
	RequestBody    string   `name:"request-body" placeholder:"TEXT|@FILE|@-" help:"Its request's body."`
	Status         int      `default:"200" help:"Its response's status."`
	ResponseHeader []string `name:"response-header" sep:"none" placeholder:"'NAME: VALUE'" help:"A header of its response."`
	Body           string   `placeholder:"TEXT|@FILE|@-" help:"Its response's body; @- is standard input."`
}

// Run prints what came of each exchange, or the differences to --expect.
func (c *tryCommand) Run(ctx context.Context, std streams) error {
	file, err := readRules(c.Rules, std)
	if err != nil {
		return err
	}
	recording, err := c.recording()
	if err != nil {
		return err
	}
	if recording.CutOff {
		fmt.Fprintf(std.err, "hookproxy: %s ends in the middle of entry %d; what is before it counts\n", c.HAR, len(recording.Entries))
	}
	base := c.BasePath
	if base == "" {
		base = recording.BasePath
	}
	done, err := replay.Run(ctx, replay.Options{
		Rules: file, Identity: identityEntries(file), User: c.User, BasePath: strings.TrimSuffix(base, "/"), Recording: recording.Entries,
	})
	if err != nil {
		return err
	}
	return c.show(done, std)
}

// show prints or compares.
func (c *tryCommand) show(done []replay.Exchange, std streams) error {
	switch {
	case c.Expect != "" && c.Update:
		return os.WriteFile(c.Expect, encodeTried(done), 0o600)
	case c.Expect != "":
		golden, err := os.ReadFile(c.Expect)
		if err != nil {
			return fmt.Errorf("%w; --update writes it", err)
		}
		return compareTried(std.out, c.Expect, golden, encodeTried(done))
	case c.JSON:
		_, err := std.out.Write(encodeTried(done))
		return err
	}
	printTried(std.out, done)
	return nil
}

// recording answers what is to be tried.
func (c *tryCommand) recording() (*har.Log, error) {
	switch {
	case (c.HAR == "") == (c.Request == ""):
		return nil, settingErrors{errors.New("try: say what to try: either --har FILE or --request 'METHOD /path'")}
	case c.Update && c.Expect == "":
		return nil, settingErrors{errors.New("--update: expected --expect FILE beside it")}
	case c.Request != "":
		e, err := c.single()
		return &har.Log{Entries: []har.Entry{e}}, err
	}
	from := io.Reader(os.Stdin)
	if c.HAR != "-" {
		opened, err := os.Open(c.HAR)
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		from = opened
	}
	log, err := har.Read(from)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.HAR, err)
	}
	return log, nil
}

// single answers the exchange that the flags describe.
func (c *tryCommand) single() (e har.Entry, err error) {
	method, target, err := parseRequest(c.Request)
	if err != nil {
		return e, settingErrors{fmt.Errorf("--request: %w", err)}
	}
	if c.Status < 200 || c.Status > 999 {
		return e, settingErrors{fmt.Errorf("--status: expected one from 200, found %d", c.Status)}
	}
	e.Started = time.Now()
	e.Request = har.Request{Method: method, URL: target}
	e.Response = har.Response{Status: c.Status}
	for _, part := range []struct {
		flag    string
		headers []string
		body    string
		header  *http.Header
		to      *[]byte
	}{
		{"request-", c.Header, c.RequestBody, &e.Request.Header, &e.Request.Body},
		{"", c.ResponseHeader, c.Body, &e.Response.Header, &e.Response.Body},
	} {
		if *part.header, err = parseHeaders(part.headers); err != nil {
			return e, err
		}
		if *part.to, err = textArgument(part.body); err != nil {
			return e, fmt.Errorf("--%sbody: %w", part.flag, err)
		}
		if len(*part.to) > 0 && part.header.Get("Content-Type") == "" {
			part.header.Set("Content-Type", "application/json")
		}
	}
	return e, nil
}

// parseRequest reads "POST /contacts?draft=1", or with a whole URL.
func parseRequest(text string) (method string, target *url.URL, err error) {
	method, where, _ := strings.Cut(strings.TrimSpace(text), " ")
	where = strings.TrimSpace(where)
	if strings.HasPrefix(where, "/") {
		where = "http://localhost" + where
	}
	target, err = url.Parse(where)
	if err != nil || method != strings.ToUpper(method) || target.Host == "" || strings.ContainsAny(where, " \t") {
		return "", nil, fmt.Errorf("expected a method and a path, such as 'POST /contacts', found %q", text)
	}
	return method, target, nil
}

func parseHeaders(lines []string) (http.Header, error) {
	h := make(http.Header)
	for _, line := range lines {
		name, value, found := strings.Cut(line, ":")
		if !found || strings.TrimSpace(name) == "" {
			return nil, settingErrors{fmt.Errorf("expected a header such as 'Location: /contacts/7', found %q", line)}
		}
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h, nil
}

// textArgument answers a text, or with @ before it a file's content.
func textArgument(text string) ([]byte, error) {
	path, named := strings.CutPrefix(text, "@")
	switch {
	case !named:
		return []byte(text), nil
	case path == "-":
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}
