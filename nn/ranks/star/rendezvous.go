package star

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// Rendezvous is where ranks that don't know each other meet: rank 0 listens at the address, the others connect to it. Nothing
// listens any more once all have come.
//
// Both sides prove that they know the token, without sending it. Each sends a random number; the answer is the HMAC-SHA256,
// with the token as key, of who answers, the number of ranks, its rank and both numbers:
//
//	rank 0 -> rank r    challenge
//	rank r -> rank 0    challenge', r, HMAC("rank", ranks, r, challenge, challenge')
//	rank 0 -> rank r    HMAC("leader", ranks, r, challenge, challenge')
//	rank 0 -> rank r    a byte, once all have come
type Rendezvous struct {
	Address    string                 // host:port
	Token      func() (string, error) // may be called several times: the token may come later
	Rank, Size int
	Wait       time.Duration // for the other ranks

	listener net.Listener // nil: rank 0 listens at Address
}

const (
	challengeBytes = 32
	answerBytes    = challengeBytes + 4 + sha256.Size
	maxHandshake   = 10 * time.Second
	maxStrangers   = 64 // connections at a time that have not proved anything yet
)

// Meet connects the ranks, and returns the connections that New takes, once all ranks have come. They are those of rank 0 with each
// other rank, the first being nil, or that of another rank with rank 0.
func (r Rendezvous) Meet(ctx context.Context) ([]net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	if r.Rank > 0 {
		conn, err := r.join(ctx)
		return []net.Conn{conn}, err
	}
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	listener := r.listener
	if listener == nil {
		var config net.ListenConfig
		if listener, err = config.Listen(ctx, "tcp", r.Address); err != nil {
			return nil, err
		}
	}
	defer listener.Close()
	conns, err := r.gather(ctx, listener, token)
	if err != nil {
		return nil, err
	}
	for _, conn := range conns[1:] {
		_, _ = conn.Write([]byte{allHere}) // New finds out if it has gone
	}
	return conns, nil
}

// allHere is the byte that tells a rank that all have come.
const allHere = 1

func (r Rendezvous) token() (string, error) {
	token, err := r.Token()
	if err == nil && token == "" {
		err = errors.New("the ranks have no token")
	}
	return token, err
}

// gather accepts the other ranks.
func (r Rendezvous) gather(ctx context.Context, listener net.Listener, token string) ([]net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	door := &door{arrived: make(chan arrival), strangers: make(chan struct{}, maxStrangers)}
	defer door.running.Wait()
	defer listener.Close()
	defer cancel()
	door.running.Go(func() { r.accept(ctx, listener, token, door) })
	conns := make([]net.Conn, r.Size)
	for left := r.Size - 1; left > 0; {
		select {
		case a := <-door.arrived:
			if conns[a.rank] != nil { // it has come twice: its first connection has failed, or another process has its number
				_ = conns[a.rank].Close()
				left++
			}
			conns[a.rank] = a.conn
			left--
		case <-ctx.Done():
			missing := 1 + slices.Index(conns[1:], nil)
			for _, conn := range conns {
				if conn != nil {
					_ = conn.Close() // the ranks that have come need not wait
				}
			}
			return nil, r.missing(ctx, fmt.Sprintf("rank %d of %d has not come to %s", missing, r.Size, r.Address))
		}
	}
	return conns, nil
}

// missing returns the error for ranks that have not met.
func (r Rendezvous) missing(ctx context.Context, what string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s within %v", what, r.Wait)
	}
	return fmt.Errorf("%s: %w", what, context.Cause(ctx))
}

// door is where ranks arrive.
type door struct {
	arrived   chan arrival
	strangers chan struct{} // a place for each connection that has not proved anything yet
	running   sync.WaitGroup
}

// arrival is a rank that has proved itself.
type arrival struct {
	rank int
	conn net.Conn
}

// accept admits ranks until the listener is closed. What has not arrived when ctx ends is closed.
func (r Rendezvous) accept(ctx context.Context, listener net.Listener, token string, d *door) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		select {
		case d.strangers <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		d.running.Go(func() {
			defer func() { <-d.strangers }()
			_ = conn.SetDeadline(time.Now().Add(maxHandshake))
			hurry := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
			rank, err := r.admit(conn, token)
			if !hurry() || err != nil {
				_ = conn.Close()
				return
			}
			select {
			case d.arrived <- arrival{rank, conn}:
			case <-ctx.Done():
				_ = conn.Close()
			}
		})
	}
}

// admit lets a rank prove that it knows the token.
func (r Rendezvous) admit(conn net.Conn, token string) (rank int, err error) {
	challenge := random()
	if _, err := conn.Write(challenge); err != nil {
		return 0, err
	}
	var answer [answerBytes]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return 0, err
	}
	theirs, proof := answer[:challengeBytes], answer[challengeBytes+4:]
	rank = int(binary.LittleEndian.Uint32(answer[challengeBytes:]))
	if rank < 1 || rank >= r.Size || !hmac.Equal(proof, r.proof(token, "rank", rank, challenge, theirs)) {
		return 0, errors.New("it does not know the token")
	}
	if _, err := conn.Write(r.proof(token, "leader", rank, challenge, theirs)); err != nil {
		return 0, err
	}
	return rank, conn.SetDeadline(time.Time{})
}

// join connects to rank 0, which may not listen yet, and waits until all ranks have come.
func (r Rendezvous) join(ctx context.Context) (net.Conn, error) {
	for {
		conn, err := r.tryJoin(ctx)
		if err == nil {
			return r.awaitAll(ctx, conn)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", r.missing(ctx, "rank 0 can't be reached at "+r.Address), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// awaitAll waits until rank 0 says that all ranks have come.
func (r Rendezvous) awaitAll(ctx context.Context, conn net.Conn) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	var here [1]byte
	_, err := io.ReadFull(conn, here[:])
	if !stop() || err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			return nil, r.missing(ctx, "not all ranks have come to "+r.Address)
		}
		return nil, fmt.Errorf("rank 0 at %s has closed the connection before all ranks had come", r.Address)
	}
	return conn, nil
}

func (r Rendezvous) tryJoin(ctx context.Context) (net.Conn, error) {
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return nil, err
	}
	if err := r.prove(conn, token); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// prove is admit from the other side.
func (r Rendezvous) prove(conn net.Conn, token string) error {
	_ = conn.SetDeadline(time.Now().Add(maxHandshake))
	challenge, own := make([]byte, challengeBytes), random()
	if _, err := io.ReadFull(conn, challenge); err != nil {
		return err
	}
	answer := binary.LittleEndian.AppendUint32(own[:challengeBytes:challengeBytes], uint32(r.Rank))
	answer = append(answer, r.proof(token, "rank", r.Rank, challenge, own)...)
	if _, err := conn.Write(answer); err != nil {
		return err
	}
	var proof [sha256.Size]byte
	if _, err := io.ReadFull(conn, proof[:]); err != nil {
		return fmt.Errorf("it does not accept the token: %w", err)
	}
	if !hmac.Equal(proof[:], r.proof(token, "leader", r.Rank, challenge, own)) {
		return errors.New("it does not know the token")
	}
	return conn.SetDeadline(time.Time{})
}

func (r Rendezvous) proof(token, who string, rank int, challenge, own []byte) []byte {
	h := hmac.New(sha256.New, []byte(token))
	fmt.Fprintf(h, "trainer ranks %s %d %d\n", who, r.Size, rank)
	h.Write(challenge)
	h.Write(own)
	return h.Sum(nil)
}

func random() []byte {
	b := make([]byte, challengeBytes)
	_, _ = rand.Read(b) // never fails
	return b
}
