"""What a till calls beside verify: prepare, cancel, capture, void, refund, lists."""
