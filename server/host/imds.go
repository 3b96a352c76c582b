package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// imds asks the metadata service of the EC2 instance, in its second version: a token first. The SDK's client for it
// brings its retries and middlewares along; two requests need neither. Source: EC2 User Guide, "Use the Instance
// Metadata Service to access instance metadata". Its methods are called by one goroutine at a time.
type imds struct {
	base   string // without a slash at the end
	client http.Client
	token  string
	until  time.Time // of the token
}

const (
	imdsTimeout  = 2 * time.Second
	imdsTokenFor = 6 * time.Hour // the longest there is
	imdsMost     = 64 << 10      // bytes of an answer
)

// newIMDS returns a client of the service at base, or at its usual address.
func newIMDS(base string) *imds {
	if base == "" {
		base = "http://169.254.169.254"
	}
	// No proxy of the environment is asked for what is on this machine.
	return &imds{base: strings.TrimSuffix(base, "/"), client: http.Client{Timeout: imdsTimeout, Transport: &http.Transport{Proxy: nil}}}
}

// get returns an item of the metadata, or "" when there is none of that name.
func (m *imds) get(ctx context.Context, item string) (string, error) {
	for fresh := false; ; fresh = true {
		if fresh || time.Now().After(m.until) {
			if err := m.newToken(ctx); err != nil {
				return "", err
			}
		}
		status, text, err := m.do(ctx, http.MethodGet, "meta-data/"+item, "X-aws-ec2-metadata-token", m.token)
		switch {
		case err != nil:
			return "", err
		case status == http.StatusOK:
			return strings.TrimSpace(text), nil
		case status == http.StatusNotFound:
			return "", nil
		case status != http.StatusUnauthorized || fresh:
			return "", fmt.Errorf("instance metadata %s: status %d", item, status)
		}
	}
}

func (m *imds) newToken(ctx context.Context) error {
	status, token, err := m.do(ctx, http.MethodPut, "api/token", "X-aws-ec2-metadata-token-ttl-seconds", fmt.Sprint(imdsTokenFor.Seconds()))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("instance metadata token: status %d", status)
	}
	if err != nil {
		return err
	}
	m.token, m.until = token, time.Now().Add(imdsTokenFor/2)
	return nil
}

func (m *imds) do(ctx context.Context, method, path, header, value string) (status int, text string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, m.base+"/latest/"+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set(header, value)
	res, err := m.client.Do(r)
	if err != nil {
		return 0, "", fmt.Errorf("instance metadata: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, imdsMost))
	return res.StatusCode, string(body), err
}

// credentials returns those of the role of the instance.
func (m *imds) credentials(ctx context.Context) (aws.Credentials, error) {
	const at = "iam/security-credentials/"
	role, err := m.get(ctx, at)
	if err != nil {
		return aws.Credentials{}, err
	}
	if role, _, _ = strings.Cut(role, "\n"); role == "" {
		return aws.Credentials{}, errors.New("the instance has no role")
	}
	text, err := m.get(ctx, at+role)
	if err != nil {
		return aws.Credentials{}, err
	}
	var c struct{ AccessKeyId, SecretAccessKey, Token string } //nolint:revive,staticcheck // the service's own names
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.AccessKeyId == "" {
		return aws.Credentials{}, errors.New("the credentials of the instance's role cannot be read")
	}
	return aws.Credentials{AccessKeyID: c.AccessKeyId, SecretAccessKey: c.SecretAccessKey, SessionToken: c.Token}, nil
}
