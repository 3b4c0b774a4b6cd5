package subscriptions

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/hookproxy/hookproxy/internal/problem"
)

// parameters are those of a query. Those that nobody reads are somebody else's: a
// gateway's, or a cache's.
type parameters struct {
	query url.Values
	bad   violations
}

func readParameters(r *http.Request) (*parameters, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem.Wrong("", "the query must be written as name=value&name=value")
	}
	return &parameters{query: query}, nil
}

// one has a parameter read, if it is there; message says what it must be.
func (p *parameters) one(name string, read func(value string) bool, message string) {
	values, given := p.query[name]
	if given && (len(values) != 1 || !read(values[0])) {
		p.bad.add(name, message)
	}
}

// limit reads how many a page is to have.
func (p *parameters) limit(limit *int) {
	p.one("limit", func(v string) bool {
		n, err := strconv.Atoi(v)
		*limit = n
		return err == nil && n >= 1 && n <= maxPage
	}, "must be a number from 1 to 100")
}

func (p *parameters) err() error { return p.bad.err() }
