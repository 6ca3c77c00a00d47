"""Operations of tills beside verify: prepare, cancel, capture, void, refund, lists."""
