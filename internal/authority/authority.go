// Package authority makes out certificates, for tests.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Authority makes out certificates. It may be used by several at a time.
type Authority struct {
	Key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// New returns an authority that nobody trusts yet, for an hour.
func New() *Authority {
	a := &Authority{cert: &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: rand.Text()}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour)}}
	der, key := a.Sign(a.cert)
	a.cert, _ = x509.ParseCertificate(der)
	a.Key = key
	return a
}

// Sign returns a certificate as x says, in DER, and its key, which is new. It panics when x cannot be signed.
func (a *Authority) Sign(x *x509.Certificate) (der []byte, key *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	by := a.Key
	if by == nil { // its own
		by = key
	}
	if der, err = x509.CreateCertificate(rand.Reader, x, a.cert, key.Public(), by); err != nil {
		panic(err)
	}
	return der, key
}

// Trust has this process trust a, and nobody else, by a file in a folder, whose name it returns. Package crypto/x509 reads it
// once, when it is first asked: so it is called before anything else.
func (a *Authority) Trust(dir string) (file string, err error) {
	file = filepath.Join(dir, "authority.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600); err != nil {
		return "", err
	}
	return file, os.Setenv("SSL_CERT_FILE", file)
}
