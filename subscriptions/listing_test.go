package subscriptions

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hookproxy/hookproxy/identity"
	"github.com/hookproxy/hookproxy/internal/redistest"
)

// listed answers the last letters of the targets on a page, and the next page.
func listed(t *testing.T, r *rig, path string) (targets, next string) {
	t.Helper()
	page := r.send(t, "ann", "GET", path, "").want(t, 200)
	var list []resource
	page.into(t, &list)
	for _, sub := range list {
		targets += sub.TargetURL[len(sub.TargetURL)-1:]
	}
	link := page.header.Get("Link")
	if link == "" {
		return targets, ""
	}
	target, found := strings.CutSuffix(link, `>; rel="next"`)
	if !found || !strings.HasPrefix(target, "<"+base+"?") {
		t.Errorf("the Link is %s", link)
	}
	return targets, target[1:]
}

func TestAListIsFilteredAndReadPageByPage(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		for i, events := range []string{`"contact.create"`, `"contact.*"`, `"deal.won"`, `"*"`, `"deal.won","contact.create"`} {
			r.offset.Store(int64(i / 2)) // some in the same millisecond, as far as Redis allows
			r.send(t, "ann", "POST", base, fmt.Sprintf(`{"events":[%s],"target_url":"https://hooks.example/%c","active":%t}`, events, 'a'+i, i%2 == 0)).want(t, 201)
		}
		r.subscribe(t, "bob")
		for query, want := range map[string]string{
			"": "abcde", "?active=true": "ace", "?active=false": "bd", "?event=contact.create": "abde", "?event=contact.update": "bd", "?event=contact.*": "bd",
			"?event=*": "d", "?event=nope": "d", "?event=deal.won&active=true": "ce", "?limit=5": "abcde", "?utm=x": "abcde",
		} {
			if got, next := listed(t, r, base+query); got != want || next != "" {
				t.Errorf("%s lists %s and then %s, want %s", query, got, next, want)
			}
		}
		for query, want := range map[string][]string{
			"?limit=2": {"ab", "cd", "e"}, "?limit=1&active=true": {"a", "c", "e"}, "?limit=2&event=contact.create": {"ab", "de"},
		} {
			var pages []string
			for next := base + query; next != ""; {
				var page string
				page, next = listed(t, r, next)
				pages = append(pages, page)
			}
			if !slices.Equal(pages, want) {
				t.Errorf("%s has the pages %q, want %q", query, pages, want)
			}
		}
		// What is deleted behind a reader's back moves no page.
		_, next := listed(t, r, base+"?limit=2")
		list, err := r.store.List(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		r.send(t, "ann", "DELETE", base+list[1].ID, "").want(t, 204)
		if got, _ := listed(t, r, next); got != "cd" {
			t.Errorf("the next page is %s", got)
		}
	})
}

// Whoever is known by a key in the query must be known on the next page too.
func TestALinkKeepsWhatElseStandsInTheQuery(t *testing.T) {
	t.Setenv("LISTING_KEY_SECRET", strings.Repeat("k", 32))
	chain, err := identity.New(identity.Options{Entries: []identity.Entry{
		{Kind: identity.KindKey, Query: "api_key", Unverified: true, Secret: identity.Source{Env: "LISTING_KEY_SECRET"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, redistest.Mini(t), func(o *HandlerOptions) { o.Identity = chain })
	for i := range 3 {
		r.send(t, "", "POST", base+"?api_key=a%2Bb", fmt.Sprintf(`{"event":"deal.won","target_url":"https://hooks.example/%d"}`, i)).want(t, 201)
	}
	seen := 0
	for path := base + "?api_key=a%2Bb&limit=1&event=deal.won"; path != ""; seen++ {
		got := r.send(t, "", "GET", path, "").want(t, 200)
		path, _, _ = strings.Cut(strings.TrimPrefix(got.header.Get("Link"), "<"), ">")
	}
	if seen != 3 {
		t.Errorf("%d pages were seen, want 3", seen)
	}
}

func TestABadQueryIsRefusedParameterByParameter(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=101": "limit", "limit=": "limit", "limit=x": "limit", "limit=1&limit=1": "limit", "active=1": "active", "active=": "active",
		"event=": "event", "event=a&event=b": "event", "cursor=": "cursor", "cursor=x": "cursor", "cursor=MTIz": "cursor", "cursor=%00": "cursor", "a=%zz": "", "a;b": "",
	} {
		r.send(t, "ann", "GET", base+"?"+query, "").wantProblem(t, 422, "invalid", field)
	}
	rapid.Check(t, func(rt *rapid.T) {
		query := url.QueryEscape(rapid.String().Draw(rt, "cursor"))
		if got := r.send(t, "ann", "GET", base+"?cursor="+query, ""); got.status != 422 && got.status != 200 {
			rt.Errorf("cursor=%s is answered %d", query, got.status)
		}
	})
}

func TestAPatternCoversWhatDispatchWouldFindByIt(t *testing.T) {
	for pair, want := range map[[2]string]bool{
		{"*", "a.b"}: true, {"a.*", "a.b"}: true, {"a.*", "a.b.c"}: true, {"a.b", "a.b"}: true, {"a.*", "ab.c"}: false, {"a.b.*", "a.b.c"}: false, {"a.b", "a.*"}: false,
	} {
		if Covers(pair[0], pair[1]) != want {
			t.Errorf("%s covers %s: %t", pair[0], pair[1], !want)
		}
	}
}
