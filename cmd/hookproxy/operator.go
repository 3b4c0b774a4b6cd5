package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/hookproxy/hookproxy/console"
)

const (
	// operatorTimeout bounds one request of an operator's command: a purge is the longest.
	operatorTimeout = time.Minute
	// operatorPage is how many items are asked for at once.
	operatorPage = 100
	// maxOperatorAnswer is how much of an answer is read, in bytes.
	maxOperatorAnswer = 64 << 20
)

// errAway marks that no admin listener answered.
var errAway = errors.New("no admin listener answers")

// operator is how an operator's command reaches the admin API, and how it prints.
type operator struct {
	Admin string `default:"127.0.0.1:9901" env:"HOOKPROXY_ADMIN" placeholder:"URL" help:"The admin listener of a running hookproxy: its address or URL."`
	Token string `env:"HOOKPROXY_ADMIN_TOKEN" help:"The admin token, where one is asked for. Better set in the environment."`
	JSON  bool   `name:"json" help:"Print what the API answers, for programs."`
}

// base answers the URL of the admin listener.
func (o operator) base() (string, error) {
	address := strings.TrimSuffix(o.Admin, "/")
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if o.Admin == none || err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		var r settingReader
		r.refuse("admin", redactURL(o.Admin), "is neither host:port nor an http:// or https:// URL")
		return "", r.errs
	}
	return address, nil
}

// call asks the API, with a JSON body unless that is nil, and answers its answer;
// or the problem that it answered, as an error; or errAway.
func (o operator) call(ctx context.Context, method, path string, query url.Values, body any) ([]byte, error) {
	base, err := o.base()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, operatorTimeout)
	defer cancel()
	if body == nil {
		body = struct{}{}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	if method != http.MethodPost {
		text = nil
	}
	target := base + console.Path + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	if o.Token != "" {
		request.Header.Set("Authorization", "Bearer "+o.Token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w at %s: %w; is hookproxy serve running there, with this --admin?", errAway, base, errors.Unwrap(err))
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxOperatorAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: the answer broke off: %w", base, err)
	}
	return answer, refusalOf(response, answer)
}

// refusalOf answers the error that an answer stands for, nil for none.
func refusalOf(response *http.Response, answer []byte) error {
	if response.StatusCode < 300 {
		return nil
	}
	p := gjson.ParseBytes(answer)
	if response.Header.Get("Content-Type") != "application/problem+json" {
		return fmt.Errorf("%s answers %s: it serves no admin API (off loopback that needs --admin-token)", response.Request.URL.Host, response.Status)
	}
	parts := []string{p.Get("title").String()}
	if detail := p.Get("detail").String(); detail != "" {
		parts = append(parts, detail)
	}
	for _, one := range p.Get("errors").Array() {
		parts = append(parts, strings.TrimSpace(one.Get("field").String()+" "+one.Get("message").String()))
	}
	if response.StatusCode == http.StatusUnauthorized {
		parts = append(parts, "it is --token or HOOKPROXY_ADMIN_TOKEN")
	}
	return errors.New(printable(strings.Join(parts, ": ")))
}

// list reads a list page by page, until it has limit items; more is the cursor that
// it would go on with.
func (o operator) list(ctx context.Context, path string, query url.Values, limit int) (items []gjson.Result, more string, err error) {
	for len(items) < limit {
		query.Set("limit", strconv.Itoa(min(operatorPage, limit-len(items))))
		answer, err := o.call(ctx, http.MethodGet, path, query, nil)
		if err != nil {
			return nil, "", err
		}
		items = append(items, gjson.GetBytes(answer, "items").Array()...)
		if more = gjson.GetBytes(answer, "next").String(); more == "" {
			break
		}
		query.Set("cursor", more)
	}
	return items, more, nil
}

// values answers a query of those pairs of name and value that have one.
func values(pairs ...string) url.Values {
	query := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	return query
}

// at joins the parts of a path, each one escaped.
func at(parts ...string) string {
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}
