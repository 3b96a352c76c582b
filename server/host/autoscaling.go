package host

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// autoScaling tells EC2 Auto Scaling that this instance is ready to go. Two requests with form values, of which the
// SDK's own client (service/autoscaling, 60 operations) is not needed: its signer is.
type autoScaling struct {
	imds *imds
	base string // "" means that of the instance's region
}

// awsError is an answer that is an error.
type awsError struct {
	Status  int    `xml:"-"`
	Code    string `xml:"Error>Code"`
	Message string `xml:"Error>Message"`
}

// Error says what the service said.
func (e *awsError) Error() string { return fmt.Sprintf("auto scaling: %s: %s", e.Code, e.Message) }

// denied reports whether the role of the instance may not do it.
func denied(err error) bool {
	var e *awsError
	return errors.As(err, &e) && e.Status == http.StatusForbidden
}

// complete completes the action of the hook for this instance. It is an error as long as none waits.
func (a *autoScaling) complete(ctx context.Context, hook string) error {
	id, err := a.imds.get(ctx, "instance-id")
	if err != nil {
		return err
	}
	var groups struct {
		Names []string `xml:"DescribeAutoScalingInstancesResult>AutoScalingInstances>member>AutoScalingGroupName"`
	}
	if err := a.call(ctx, &groups, "Action", "DescribeAutoScalingInstances", "InstanceIds.member.1", id); err != nil {
		return err
	}
	if len(groups.Names) == 0 {
		return fmt.Errorf("instance %s is in no Auto Scaling group", id)
	}
	return a.call(ctx, nil, "Action", "CompleteLifecycleAction", "LifecycleHookName", hook,
		"AutoScalingGroupName", groups.Names[0], "LifecycleActionResult", "CONTINUE", "InstanceId", id)
}

// call sends a request with the values, pairs of names and values, and reads the answer into out, if any.
func (a *autoScaling) call(ctx context.Context, out any, values ...string) error {
	region, err := a.imds.get(ctx, "placement/region")
	if err != nil {
		return err
	}
	domain, err := a.imds.get(ctx, "services/domain") // another one in China
	if err != nil {
		return err
	}
	keys, err := a.imds.credentials(ctx)
	if err != nil {
		return err
	}
	form := url.Values{"Version": {"2011-01-01"}}
	for i := 0; i+1 < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	body := form.Encode()
	at := cmp.Or(a.base, "https://autoscaling."+region+"."+cmp.Or(domain, "amazonaws.com"))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(at, "/")+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(ctx, keys, r, hex.EncodeToString(sum[:]), "autoscaling", region, time.Now()); err != nil {
		return err
	}
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("auto scaling: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("auto scaling: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		bad := &awsError{Status: res.StatusCode, Code: res.Status}
		_ = xml.Unmarshal(text, bad) // what is not understood has its status
		return bad
	}
	if out == nil {
		return nil
	}
	return xml.Unmarshal(text, out)
}
