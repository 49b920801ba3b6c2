"""Reads recorded streams of predictive systems, block by block: CSV, JSON lines, Parquet.

``problems`` says what can be wrong with a recording, ``source`` makes lines of bytes, ``formats`` and
``parquet`` make blocks of columns, ``roles`` says which column is what, ``survey`` learns the
rest from a calibration recording, ``convert`` makes :class:`bartizan.alarms.Events`.
"""
