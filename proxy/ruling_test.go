package proxy

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestARequestEndsByTheRulingThatItBeganWith(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Slow") != "" {
			close(arrived)
			<-release
		}
		created(`{"id":7}`)(w, r)
	})
	s, p := capturing(t, contacts, upstream, nil)
	post := func(header string) error {
		r, err := http.NewRequest(http.MethodPost, s.url+"/contacts", strings.NewReader("{}"))
		if err != nil {
			return err
		}
		r.Header.Set(header, "1")
		res, err := s.client.Do(r)
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	done := make(chan error, 1)
	go func() { done <- post("X-Slow") }()
	<-arrived
	if err := s.proxy.Replace(Ruling{Rules: rulesOf(t, "resources: {person: /contacts}"), Identity: everybodyIs(t, "7")}); err != nil {
		t.Fatal(err)
	}
	if err := post("X-Quick"); err != nil {
		t.Fatal(err)
	}
	if e := p.one(t); e.Name != "person.create" || e.User != "7" {
		t.Errorf("a new request: %s of %s", e.Name, e.User)
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if e := p.one(t); e.Name != "contact.create" || e.User != "42" {
		t.Errorf("the request under way: %s of %s", e.Name, e.User)
	}
}

func TestWhatNoRuleMatchesIsCountedForEachRulingAnew(t *testing.T) {
	s, _ := capturing(t, "resources: {deal: /deals}", serve(t, created(`{"id":7}`)), nil)
	s.post(t, "/contacts")
	if got := s.proxy.Unmatched().Routes; len(got) != 1 || got[0].Path != "/contacts" {
		t.Errorf("%+v", got)
	}
	if err := s.proxy.Replace(Ruling{Rules: rulesOf(t, contacts)}); err != nil {
		t.Fatal(err)
	}
	s.post(t, "/deals")
	if got := s.proxy.Unmatched().Routes; len(got) != 1 || got[0].Path != "/deals" {
		t.Errorf("%+v", got)
	}
}

func TestARulingThatCannotBeLeavesTheOldOne(t *testing.T) {
	s, p := capturing(t, contacts, serve(t, created(`{"id":7}`)), nil)
	err := s.proxy.Replace(Ruling{OwnPaths: []string{"/", "/hooks"}})
	if err == nil || !strings.Contains(err.Error(), "would hide the whole API") || !strings.Contains(err.Error(), `"/hooks" without a handler`) {
		t.Errorf("%v", err)
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) || len(joined.Unwrap()) != 3 {
		t.Errorf("not all mistakes: %v", err)
	}
	s.post(t, "/contacts")
	if e := p.one(t); e.Name != "contact.create" || e.User != "42" {
		t.Errorf("%+v", e)
	}
}
