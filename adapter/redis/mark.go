package redis

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// forwardedHeader is on every request that one node sends to another, and holds its mark. A request that has
// it is not forwarded again, whatever it holds: that needs no secret, so it holds where nodes are named or
// addressed wrongly, too. A client that sets it does so at its own cost.
const forwardedHeader = "Beanpole-Forwarded"

// skew bounds how old the mark of a request may be, and how far two nodes' clocks may be apart.
const skew = 5 * time.Minute

// mark says when and by which node a request was forwarded, and whose it is: the client's address and whether
// it came over TLS. Its text is signed, together with the session, by the cluster's secret.
type mark struct {
	at     int64 // seconds since 1970
	from   string
	addr   string
	secure bool
}

// sign returns the text of m for a request of a session.
func (m mark) sign(secret, sid string) string {
	text := fmt.Sprintf("%d %s %s %t", m.at, m.from, url.QueryEscape(m.addr), m.secure)
	return text + " " + signature(secret, text, sid)
}

func signature(secret, text, sid string) string {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%s\n%s", text, sid)
	return hex.EncodeToString(h.Sum(nil))
}

// readMark reads what sign has written. ok is false for what was signed with another secret, for another
// session, or too long ago.
func readMark(s, secret, sid string) (m mark, ok bool) {
	text, sum, ok := cutLast(s)
	if !ok || secret == "" || !hmac.Equal([]byte(sum), []byte(signature(secret, text, sid))) {
		return mark{}, false
	}
	part := strings.Split(text, " ")
	if len(part) != 4 {
		return mark{}, false
	}
	at, err := strconv.ParseInt(part[0], 10, 64)
	addr, e := url.QueryUnescape(part[2])
	if err != nil || e != nil || time.Since(time.Unix(at, 0)).Abs() > skew {
		return mark{}, false
	}
	return mark{at: at, from: part[1], addr: addr, secure: part[3] == "true"}, true
}

// cutLast cuts s at its last space.
func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, ' ')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}
