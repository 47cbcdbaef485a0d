"""The weights do not depend on how they are computed: word by word, or text by text."""

from __future__ import annotations

import numpy as np
import pytest
from cvdebug.core.embedding import lexical
from cvdebug.core.pipeline import tokenizer


def test_words_encoded_once_give_the_weights_of_whole_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = tokenizer.load(None)
    by_word = lexical.fit_idf(loaded)
    monkeypatch.setattr(lexical, "is_local", lambda tokenizer: False)
    by_text = lexical.fit_idf(loaded)
    assert np.array_equal(by_word, by_text)
    assert len(np.unique(by_word)) > 50
