package events

import (
	"slices"
	"testing"
	"testing/synctest"
)

func TestTheFirstGoesAtOnceAndThoseMeanwhileGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var batches [][]int
		release := make(chan struct{})
		g := group[int]{
			commit: func(batch []int) {
				batches = append(batches, batch)
				<-release
			},
			take: func(waiting []int) int { return min(len(waiting), 3) },
		}
		g.add(1)
		synctest.Wait() // the first is being committed
		g.add(2, 3)
		g.add(4)
		g.add(5)
		close(release)
		g.settle()
		want := [][]int{{1}, {2, 3, 4}, {5}}
		if !slices.EqualFunc(batches, want, slices.Equal) {
			t.Errorf("committed %v; want %v", batches, want)
		}
	})
}

func TestAGroupStartsAgainAfterItHasSettled(t *testing.T) {
	var got []int
	g := group[int]{commit: func(batch []int) { got = append(got, batch...) }, take: func(w []int) int { return len(w) }}
	g.settle()
	g.add()
	for i := range 5 {
		g.add(i)
		g.settle()
	}
	if want := []int{0, 1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("committed %v; want %v", got, want)
	}
}

func TestABatchIsBoundedByCountAndBytes(t *testing.T) {
	entries := func(n, size int) []*entry {
		return slices.Repeat([]*entry{{element: element{bytes: make([]byte, size)}}}, n)
	}
	for _, c := range []struct{ n, size, want int }{
		{1, 1, 1}, {256, 1, 256}, {257, 1, 256}, {1000, 1, 256},
		{10, 1 << 20, 4}, {2, 4 << 20, 1}, {2, 100 << 20, 1}, {1, 100 << 20, 1},
	} {
		if got := takeBatch(entries(c.n, c.size)); got != c.want {
			t.Errorf("of %d elements of %d bytes %d go together; want %d", c.n, c.size, got, c.want)
		}
	}
}
