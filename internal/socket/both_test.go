//go:build linux && !race

package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
)

func TestTwoPiecesArriveInOrderHoweverLong(t *testing.T) {
	for _, sizes := range [][2]int{{3, 5}, {300, 64 << 10}, {1, 4 << 20}, {4 << 20, 1}, {4 << 20, 4 << 20}} {
		ours, theirs := pair(t)
		first, second := bytes.Repeat([]byte("a"), sizes[0]), bytes.Repeat([]byte("b"), sizes[1])
		written := make(chan int, 1)
		go func() { // ends with the write
			n, err := ours.(*Conn).WriteBoth(first, second)
			if err != nil {
				t.Error(err)
			}
			written <- n
		}()
		got := make([]byte, sizes[0]+sizes[1])
		if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, append(first, second...)) {
			t.Errorf("%v: the bytes differ; %v", sizes, err)
		}
		if n := <-written; n != len(got) {
			t.Errorf("%v: said to have written %d", sizes, n)
		}
	}
}

func TestTwoPiecesThatCannotBeWrittenAreAnErrorOfWriting(t *testing.T) {
	ours, _ := pair(t)
	ours.Close()
	n, err := ours.(*Conn).WriteBoth([]byte("a"), []byte("b"))
	var operation *net.OpError
	if n != 0 || !errors.As(err, &operation) || operation.Op != "write" {
		t.Errorf("%d bytes, %v", n, err)
	}
}
