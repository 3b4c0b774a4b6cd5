package buffer

import (
	"testing"

	"pgregory.net/rapid"
)

func TestABufferHasWhatWasAskedForAndLittleMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 5000), rapid.IntRange(0, most+1000)).Draw(t, "size")
		b := Get(size)
		defer b.Release()
		if len(b.Bytes) != 0 || cap(b.Bytes) != size {
			t.Fatalf("asked for %d: %d of %d", size, len(b.Bytes), cap(b.Bytes))
		}
		if b.from != nil && (len(b.lent) < size || size > least && len(b.lent) > size+size/steps+1) {
			t.Fatalf("asked for %d, lent %d", size, len(b.lent))
		}
		if class, rounded := classOf(len(b.lent)); b.from != nil && (b.from != &pools[class] || rounded != len(b.lent)) {
			t.Fatalf("%d are taken back as %d", len(b.lent), rounded)
		}
	})
}

func TestWhatIsReleasedIsLentAgainInFull(t *testing.T) {
	for range 1000 { // a pool may drop what it has
		b := Get(3000)
		b.Bytes = append(b.Bytes, "abc"...)[:2]
		lent := &b.lent[0]
		b.Release()
		again := Get(2900)
		same := &again.lent[0] == lent
		if cap(again.Bytes) != 2900 || len(again.Bytes) != 0 {
			t.Fatalf("lent %d of %d", len(again.Bytes), cap(again.Bytes))
		}
		if again.Release(); same {
			return
		}
	}
	t.Error("nothing is lent again")
}

func TestWhatIsTooLargeIsNotKept(t *testing.T) {
	b := Get(most + 1)
	if b.from != nil || cap(b.Bytes) != most+1 {
		t.Errorf("%d, of %v", cap(b.Bytes), b.from)
	}
	b.Release()
	(*Buffer)(nil).Release()
}

func BenchmarkLend(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Get(65537).Release()
	}
}
