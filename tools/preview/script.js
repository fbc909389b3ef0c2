// Draws the figures of the page, in the colours of its theme. `#light` or `#dark` at the end of the address chooses one.
(() => {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const figures = JSON.parse(document.getElementById('figures').textContent);
  let chosen = ['#light', '#dark'].includes(location.hash) ? location.hash.slice(1) : '';

  const theme = () => {
    const style = getComputedStyle(root);
    const text = style.getPropertyValue('--quiet'), line = style.getPropertyValue('--line');
    const axis = {
      gridcolor: line, linecolor: line, zerolinecolor: line, tickfont: {size: 10}, automargin: true, fixedrange: true, tickangle: 0,
      ticklabelposition: 'outside', ticklen: 3, tickcolor: 'transparent',
    };
    return {text, line, axis, card: style.getPropertyValue('--card')};
  };

  const layoutOf = (figure, colours, width) => ({
    paper_bgcolor: 'transparent', plot_bgcolor: 'transparent', showlegend: false,
    margin: {l: 6, r: 8, t: 6, b: 6, pad: 0},
    font: {color: colours.text, size: 11, family: getComputedStyle(document.body).fontFamily},
    hoverlabel: {bgcolor: colours.card, bordercolor: colours.line, font: {size: 11}},
    ...figure.layout,
    xaxis: {...colours.axis, showgrid: false, nticks: Math.max(2, Math.floor(width / 75)), ...figure.layout.xaxis},
    yaxis: {...colours.axis, ...figure.layout.yaxis},
    ...(figure.layout.yaxis2 && {yaxis2: {...colours.axis, ...figure.layout.yaxis2}}),
  });

  const draw = () => {
    root.dataset.theme = chosen || (system.matches ? 'dark' : 'light');
    const colours = theme();
    for (const [name, figure] of Object.entries(figures)) {
      const width = document.getElementById(name).clientWidth;
      Plotly.react(name, figure.data, layoutOf(figure, colours, width), {displayModeBar: false, responsive: true});
    }
  };

  system.addEventListener('change', draw);
  document.getElementById('theme').addEventListener('click', () => {
    chosen = root.dataset.theme === 'dark' ? 'light' : 'dark';
    draw();
  });
  draw();
  root.dataset.height = root.scrollHeight;
})();
